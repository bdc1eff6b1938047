// Files under fibers, on every poller.
#include "io/async_file.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/temporary_dir_testing.h"
#include "io/part_cursor.h"
#include "io/run_testing.h"
#include "rt/runtime.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

iovec part(std::string& text) {
    return {.iov_base = text.data(), .iov_len = text.size()};
}

class AsyncFileTest : public testing::TestWithParam<const char*> {
  protected:
    void run(unsigned workers, std::function<void()> body) {
        if (run_on(GetParam(), workers, std::move(body))) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no " << GetParam() << " here";
        GTEST_SKIP() << "no " << GetParam() << " here";
    }
    std::string path(std::string_view name) const { return dir_.path(std::string(name)); }

    static std::string read_all(AsyncFile& file) {
        std::string text(file.size().value(), '?');
        auto into = std::as_writable_bytes(std::span(text.data(), text.size()));
        EXPECT_EQ(file.pread(into, 0).value(), text.size());
        return text;
    }

    TemporaryDir dir_;
};

TEST_P(AsyncFileTest, WritesAndReadsBack) {
    run(1, [this] {
        AsyncFile file = AsyncFile::open(path("a"), OpenMode::kCreateNew).value();
        ASSERT_TRUE(file.pwrite(bytes_of("hello world"), 0).has_value());
        ASSERT_TRUE(file.pwrite(bytes_of("W"), 6).has_value());
        ASSERT_TRUE(file.fdatasync().has_value());
        ASSERT_TRUE(file.fsync().has_value());
        EXPECT_EQ(read_all(file), "hello World");
        std::array<std::byte, 32> big{};
        EXPECT_EQ(file.pread(big, 6).value(), 5u);
        EXPECT_EQ(file.pread(big, 100).value(), 0u);
        ASSERT_TRUE(file.fallocate(0, 13).has_value());
        EXPECT_EQ(read_all(file), std::string("hello World\0\0", 13));
    });
}

TEST_P(AsyncFileTest, VectorsLongerThanOneCallTakes) {
    run(1, [this] {
        AsyncFile file = AsyncFile::open(path("a"), OpenMode::kCreateNew).value();
        std::string all;
        std::vector<std::string> texts;
        std::vector<iovec> parts;
        for (std::size_t i = 0; i < 2 * limits::kIoVectorParts + 7; ++i) {
            texts.push_back(std::string(i % 5, static_cast<char>('a' + i % 26)));
            all += texts.back();
        }
        for (std::string& text : texts) parts.push_back(part(text));
        ASSERT_TRUE(file.pwritev(parts, 3).has_value());
        EXPECT_EQ(read_all(file), std::string(3, '\0') + all);
        std::string first(100, '?');
        std::string second(all.size(), '?');
        const iovec into[2] = {part(first), part(second)};
        EXPECT_EQ(file.preadv(into, 3).value(), all.size());
        EXPECT_EQ(first, all.substr(0, 100));
        EXPECT_EQ(second, all.substr(100) + std::string(100, '?'));
    });
}

TEST_P(AsyncFileTest, ErrorsNameCallAndFile) {
    run(1, [this] {
        EXPECT_EQ(AsyncFile::open(path("a"), OpenMode::kRead).error().code(), Code::kNotFound);
        (void)AsyncFile::open(path("a"), OpenMode::kCreateNew).value();
        AsyncFile reader = AsyncFile::open(path("a"), OpenMode::kRead).value();
        const Status refused = reader.pwrite(bytes_of("x"), 0);
        ASSERT_FALSE(refused.has_value());
        EXPECT_NE(refused.error().message().find("write " + path("a")), std::string::npos);
    });
}

TEST_P(AsyncFileTest, AnEndedContextStartsNothing) {
    run(1, [this] {
        AsyncFile file = AsyncFile::open(path("a"), OpenMode::kCreateNew).value();
        sync::Context cancelled(nullptr);
        cancelled.cancel("not wanted");
        const Status status = file.pwrite(bytes_of("x"), 0, cancelled);
        EXPECT_EQ(status.error().code(), Code::kCancelled);
        EXPECT_EQ(status.error().message(), "not wanted");
        sync::Context late(nullptr, sync::deadline_after(0));
        EXPECT_EQ(file.fsync(late).error().code(), Code::kDeadlineExceeded);
        EXPECT_EQ(file.size().value(), 0u);
    });
}

TEST_P(AsyncFileTest, ManyFibersWriteTheirBlocks) {
    run(2, [this] {
        AsyncFile file = AsyncFile::open(path("a"), OpenMode::kCreateNew).value();
        constexpr std::size_t kBlock = 4096;
        constexpr std::uint64_t kFibers = 400;  // more than the ring has entries
        sync::Group group(nullptr);
        for (std::uint64_t i = 0; i < kFibers; ++i) {
            group.spawn([&file, i]() -> Status {
                const std::vector<std::byte> out(kBlock, static_cast<std::byte>(i));
                SLUICE_TRY(file.pwrite(out, i * kBlock));
                if (i % 50 == 0) SLUICE_TRY(file.fdatasync());
                std::vector<std::byte> in(kBlock);
                SLUICE_TRY_ASSIGN(const std::size_t n, file.pread(in, i * kBlock));
                if (n != kBlock || in != out) return fail(Code::kDataLoss, "wrong bytes");
                return {};
            });
        }
        const Status status = group.wait();
        EXPECT_TRUE(status.has_value()) << status.error().message();
        EXPECT_EQ(file.size().value(), kFibers * kBlock);
    });
}

INSTANTIATE_TEST_SUITE_P(Pollers, AsyncFileTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PartCursor, TakesPartsApart) {
    std::string texts[4] = {"", "abc", "", "defgh"};
    const iovec parts[4] = {part(texts[0]), part(texts[1]), part(texts[2]), part(texts[3])};
    std::string seen;
    std::size_t step = 1;
    for (PartCursor rest(parts); !rest.done(); step = 3 - step) {
        const iovec first = rest.window()[0];
        const std::size_t n = std::min(first.iov_len, step);
        seen.append(static_cast<const char*>(first.iov_base), n);
        rest.advance(n);
    }
    EXPECT_EQ(seen, "abcdefgh");
    EXPECT_TRUE(PartCursor({}).done());
    EXPECT_TRUE(PartCursor(std::span(parts).first(1)).done());
}

}  // namespace
}  // namespace sluice::io
