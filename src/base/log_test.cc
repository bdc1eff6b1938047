#include "base/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "base/limits.h"
#include "base/log_sink.h"

namespace sluice {
namespace {

class FixedClock final : public Clock {
  public:
    TimeNs now_ns() const override { return 0; }
    TimeNs wall_ns() const override { return 1'700'000'000'000'042'999; }
};

class Log : public ::testing::Test {
  protected:
    std::string only_line() {
        EXPECT_EQ(sink.lines().size(), 1u);
        return sink.lines().at(0);
    }
    MemoryLogSink sink;
    FixedClock clock;
};

TEST_F(Log, JsonHasEtcdsShape) {
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kJson);
    const int line = __LINE__ + 1;
    log.info("ready",
             {{"address", "127.0.0.1:2379"}, {"n", 3}, {"ok", true}, {"ms", Millis{1500}}});
    EXPECT_EQ(only_line(),
              "{\"level\":\"info\",\"ts\":\"2023-11-14T22:13:20.000042Z\",\"caller\":"
              "\"base/log_test.cc:" +
                  std::to_string(line) +
                  "\",\"msg\":\"ready\",\"address\":\"127.0.0.1:2379\",\"n\":3,\"ok\":true,"
                  "\"ms\":\"0.002ms\"}");
}

TEST_F(Log, ConsoleSeparatesWithTabs) {
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kConsole);
    const int line = __LINE__ + 1;
    log.warn("slow fdatasync", {{"took", 1.5}});
    EXPECT_EQ(only_line(), "2023-11-14T22:13:20.000042Z\twarn\tbase/log_test.cc:" +
                               std::to_string(line) + "\tslow fdatasync\t{\"took\":1.5}");
}

TEST_F(Log, EscapesWhatJsonForbids) {
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kJson);
    log.info("a\"b\\c\nd\x01", {{"key", "\xff gr\xc3\xbc n"}});
    EXPECT_NE(only_line().find(R"("msg":"a\"b\\c\nd\u0001","key":"\ufffd gr)"
                               "\xc3\xbc n\"}"),
              std::string::npos)
        << only_line();
}

TEST_F(Log, ShowsInfinitiesAsStrings) {
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kJson);
    log.info("m", {{"rate", std::numeric_limits<double>::infinity()}});
    EXPECT_NE(only_line().find(R"("rate":"inf"})"), std::string::npos) << only_line();
}

TEST_F(Log, DropsWhatIsBelowTheLevel) {
    const Logger log(sink, clock, LogLevel::kWarn, LogFormat::kJson);
    log.debug("no");
    log.info("no");
    log.warn("yes");
    log.error("yes");
    EXPECT_EQ(sink.lines().size(), 2u);
}

TEST_F(Log, CutsALongLine) {
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kJson);
    log.info(std::string(2 * limits::kLogLineBytesMax, 'x'));
    EXPECT_EQ(only_line().size(), limits::kLogLineBytesMax + std::string("...(cut)").size());
    EXPECT_TRUE(only_line().ends_with("...(cut)"));
}

void log_fatal(const Clock& clock) {
    auto stderr_sink = open_log_sink("stderr");
    const Logger log(**stderr_sink, clock, LogLevel::kInfo, LogFormat::kJson);
    log.fatal("the log is corrupt", {{"segment", 7}});
}

TEST_F(Log, FatalWritesBeforeItEndsTheProcess) {
    EXPECT_EXIT(log_fatal(clock), ::testing::ExitedWithCode(1),
                "\"level\":\"fatal\".*the log is corrupt.*\"segment\":7");
}

TEST(LogLevels, AreParsedByName) {
    EXPECT_EQ(parse_log_level("warn"), LogLevel::kWarn);
    EXPECT_EQ(log_level_name(LogLevel::kFatal), "fatal");
    EXPECT_FALSE(parse_log_level("loud").has_value());
    EXPECT_EQ(parse_log_format("console"), LogFormat::kConsole);
    EXPECT_FALSE(parse_log_format("xml").has_value());
}

TEST(AsyncLogSink, HasEveryLineOnDiskAfterFlush) {
    const std::string path = ::testing::TempDir() + "sluice_log_test_" + std::to_string(::getpid());
    {
        auto sink = open_log_sink(path);
        ASSERT_TRUE(sink.has_value()) << sink.error().message();
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) (*sink)->write("line");
            });
        for (auto& thread : threads) thread.join();
        (*sink)->flush();
        std::ifstream file(path);
        std::string line;
        std::uint64_t lines = 0;
        while (std::getline(file, line)) ++lines;
        EXPECT_EQ(lines + (*sink)->dropped(), 2'000u);
        EXPECT_EQ((*sink)->dropped(), 0u);  // fewer lines than the queue holds
    }
    std::remove(path.c_str());
}

// Else a process that has to end (a failed fdatasync) would go on for as long as nobody reads.
TEST(AsyncLogSink, FlushGivesUpWhereNobodyReads) {
    const std::string path = ::testing::TempDir() + "sluice_log_fifo_" + std::to_string(::getpid());
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    std::ifstream reader;
    std::thread opener([&] { reader.open(path); });
    auto sink = open_log_sink(path);  // waits for the reader
    opener.join();
    ASSERT_TRUE(sink.has_value()) << sink.error().message();
    const std::string line(8'000, 'x');
    for (int i = 0; i < 100; ++i) (*sink)->write(line);  // more than a pipe holds
    (*sink)->flush();
    // Now read, so that the sink can end.
    std::thread drain([&] {
        std::string text;
        while (std::getline(reader, text)) {
        }
    });
    sink->reset();
    drain.join();
    std::remove(path.c_str());
}

TEST(AsyncLogSink, SaysWhyItCannotOpen) {
    const auto sink = open_log_sink("/dev/null/not-a-directory");
    ASSERT_FALSE(sink.has_value());
    EXPECT_NE(sink.error().message().find("cannot open the log output"), std::string::npos);
}

}  // namespace
}  // namespace sluice
