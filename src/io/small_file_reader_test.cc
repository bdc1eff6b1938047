#include "io/small_file_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/temporary_dir_testing.h"
#include "io/run_testing.h"

namespace sluice::io {
namespace {

constexpr std::size_t kBytesMax = 1'000;

// Both ways of reading.
class SmallFileReaderTest : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        if (!GetParam() || reader_.uses_io_uring()) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no io_uring here";
        GTEST_SKIP() << "no io_uring here";
    }

    std::string make(const std::string& name, std::string_view content) {
        std::ofstream(dir_.path(name), std::ios::binary) << content;
        return dir_.path(name);
    }
    static std::string text(const SmallFileReader::Content& content) {
        if (!content) return "error: " + content.error().message();
        return {reinterpret_cast<const char*>(content->data()), content->size()};
    }
    static Code code(const SmallFileReader::Content& content) {
        return content ? Code::kOk : content.error().code();
    }

    TemporaryDir dir_;
    SmallFileReader reader_{kBytesMax, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Ways, SmallFileReaderTest, testing::Bool(),
                         [](const auto& way) { return way.param ? "IoUring" : "PlainCalls"; });

TEST_P(SmallFileReaderTest, ReadsWholeBatchesAgainAndAgain) {
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < limits::kSmallFilesBatch; ++i) {
        paths.push_back(make(std::to_string(i), std::string(i * 15, static_cast<char>('0' + i))));
    }
    for (int round = 0; round < 3; ++round) {
        const auto contents = reader_.read(paths);
        ASSERT_EQ(contents.size(), paths.size());
        for (std::size_t i = 0; i < contents.size(); ++i) {
            EXPECT_EQ(text(contents[i]), std::string(i * 15, static_cast<char>('0' + i)));
        }
    }
    EXPECT_TRUE(reader_.read({}).empty());
}

TEST_P(SmallFileReaderTest, AnErrorIsOneFilesOwn) {
    const std::vector<std::string> paths = {
        make("first", "one"), dir_.path("missing"),       dir_.path(),
        make("empty", ""),    make("last", "last words"),
    };
    for (int round = 0; round < 100; ++round) {  // slots of failed files are free again
        const auto contents = reader_.read(paths);
        ASSERT_EQ(contents.size(), 5U);
        EXPECT_EQ(text(contents[0]), "one");
        EXPECT_EQ(code(contents[1]), Code::kNotFound);
        EXPECT_NE(contents[1].error().message().find("missing"), std::string::npos);
        EXPECT_FALSE(contents[2].has_value());  // a folder
        EXPECT_EQ(text(contents[3]), "");
        EXPECT_EQ(text(contents[4]), "last words");
    }
}

TEST_P(SmallFileReaderTest, TellsAFileThatIsTooLarge) {
    const std::vector<std::string> paths = {
        make("full", std::string(kBytesMax, 'f')),
        make("over", std::string(kBytesMax + 1, 'o')),
        make("far over", std::string(10 * kBytesMax, 'x')),
    };
    const auto contents = reader_.read(paths);
    EXPECT_EQ(text(contents[0]), std::string(kBytesMax, 'f'));
    EXPECT_EQ(code(contents[1]), Code::kOutOfRange);
    EXPECT_EQ(code(contents[2]), Code::kOutOfRange);
}

TEST_P(SmallFileReaderTest, LeavesNoDescriptorOpen) {
    const auto open_descriptors = [] {
        const std::filesystem::directory_iterator all("/proc/self/fd");
        return std::distance(begin(all), end(all));
    };
    const std::vector<std::string> paths(limits::kSmallFilesBatch, make("one", "content"));
    (void)reader_.read(paths);
    const auto before = open_descriptors();
    for (int round = 0; round < 20; ++round) (void)reader_.read(paths);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(SmallFileReader, PlainCallsWhenAskedFor) {
    EXPECT_FALSE(SmallFileReader(kBytesMax, /*io_uring=*/false).uses_io_uring());
}

}  // namespace
}  // namespace sluice::io
