#include "bench/idle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "bench/fake_server_testing.h"

namespace sluice::bench {
namespace {

IdleOptions options_for(const FakeServer& server) {
    return {
        .endpoint = server.endpoint(), .connections = 21, .server_pid = ::getpid(), .quiet_ns = 1};
}

TEST(Idle, EveryConnectionMakesOneCallAndOneMoreInTheEnd) {
    FakeServer server;
    const SystemClock clock;
    const auto report = run_idle(options_for(server), clock);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    server.stop();
    EXPECT_EQ(server.connections(), 21u);
    EXPECT_EQ(server.calls(), 42u);
    EXPECT_GT(report->before.rss_bytes, 0u);
    EXPECT_GE(report->all.rss_bytes, report->all.pss_bytes);
    EXPECT_GT(report->all.anonymous_bytes, 0u);
}

TEST(Idle, BytesEachAreGrowthDividedByConnections) {
    IdleReport report;
    report.connections = 10;
    report.before.rss_bytes = 1'000;
    report.half.rss_bytes = 9'000;
    report.all.rss_bytes = 11'000;
    EXPECT_EQ(report.bytes_each(), 1'000);
    EXPECT_EQ(report.bytes_each_further(), 400);
}

TEST(Idle, SaysWhatIsWrongWithTheOptions) {
    const SystemClock clock;
    IdleOptions options;
    EXPECT_EQ(run_idle(options, clock).error().code(), Code::kInvalidArgument);  // no server_pid
    options.server_pid = ::getpid();
    options.connections = 1;
    EXPECT_EQ(run_idle(options, clock).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::bench
