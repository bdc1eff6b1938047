#include "bench/runner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "bench/fake_server_testing.h"

namespace sluice::bench {
namespace {

Options options_for(const FakeServer& server, WorkloadKind kind) {
    Options options;
    options.workload = kind;
    options.endpoint = server.endpoint();
    options.warmup_ns = 0;
    options.total = 500;
    options.keys = 100;
    return options;
}

TEST(Runner, MakesExactlyTheCallsThatWereAskedFor) {
    FakeServer server;
    Options options = options_for(server, WorkloadKind::kPut);
    options.clients = 7;
    options.connections = 3;
    const SystemClock clock;
    const auto report = run(options, clock);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    server.stop();
    EXPECT_EQ(report->calls, 500u);
    EXPECT_EQ(report->errors, 0u) << report->first_error;
    EXPECT_EQ(report->latency.count(), 500u);
    EXPECT_GE(server.calls(), 500u);  // those made before the measurement began come on top
    EXPECT_EQ(server.connections(), 3u);
    EXPECT_EQ(server.last_timeout(), "");
}

TEST(Runner, DividesConnectionsAmongThreads) {
    FakeServer server;
    Options options = options_for(server, WorkloadKind::kEmpty);
    options.clients = 8;
    options.connections = 4;
    options.threads = 2;
    options.call_timeout_ns = 5 * kSecond;
    const SystemClock clock;
    const auto report = run(options, clock);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    server.stop();
    EXPECT_EQ(report->calls, 500u);
    EXPECT_EQ(report->errors, 0u) << report->first_error;
    EXPECT_EQ(server.calls_by_path().count("/grpc.health.v1.Health/Check"), 1u);
    // In microseconds what is left of the five seconds: "4999987u".
    EXPECT_TRUE(server.last_timeout().ends_with("u")) << server.last_timeout();
    EXPECT_LE(std::stod(server.last_timeout()), 5e6);
    EXPECT_GT(std::stod(server.last_timeout()), 0);
}

TEST(Runner, FillsEveryKeyOnceBeforeReading) {
    FakeServer server;
    Options options = options_for(server, WorkloadKind::kGet);
    options.total = 1;
    const SystemClock clock;
    const auto report = run(options, clock);  // the fake server's gets are empty: an error
    ASSERT_TRUE(report.has_value()) << report.error().message();
    EXPECT_GE(report->errors, 1u);
    server.stop();
    EXPECT_EQ(server.puts_by_key().size(), 100u);
    for (const auto& [key, puts] : server.puts_by_key()) EXPECT_EQ(puts, 1u) << key;
}

TEST(Runner, MeasuresTheServersProcess) {
    FakeServer server;
    Options options = options_for(server, WorkloadKind::kPut);
    options.server_pid = ::getpid();
    const SystemClock clock;
    const auto report = run(options, clock);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    EXPECT_TRUE(report->server_cpu_ns.has_value());
    EXPECT_GT(report->server_rss_bytes, 1'000'000u);
    EXPECT_GE(report->server_rss_peak_bytes, report->server_rss_bytes);
}

struct Fault {
    Misbehaviour misbehaviour;
    const char* message;
};

void PrintTo(const Fault& fault, std::ostream* out) {
    *out << fault.message;
}

class RunnerFaults : public ::testing::TestWithParam<Fault> {};

TEST_P(RunnerFaults, CountsWrongAnswersAsErrors) {
    FakeServer server(GetParam().misbehaviour);
    Options options = options_for(server, WorkloadKind::kPut);
    options.total = 20;
    const SystemClock clock;
    const auto report = run(options, clock);
    ASSERT_TRUE(report.has_value()) << report.error().message();
    // A revision that does not grow is wrong from the second answer on.
    EXPECT_LE(report->calls, 1u);
    EXPECT_GE(report->errors, 19u);
    EXPECT_EQ(report->first_error, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, RunnerFaults,
    ::testing::Values(Fault{Misbehaviour::kGrpcError, "grpc-status 14: etcdserver: no leader"},
                      Fault{Misbehaviour::kNoMessage, "0 messages instead of one"},
                      Fault{Misbehaviour::kTwoMessages, "2 messages instead of one"},
                      Fault{Misbehaviour::kSameRevision, "the revision did not grow"}));

TEST(Runner, EndsWhenAConnectionBreaks) {
    FakeServer server(Misbehaviour::kCloseAfter);
    const SystemClock clock;
    const auto report = run(options_for(server, WorkloadKind::kPut), clock);
    ASSERT_FALSE(report.has_value());
    EXPECT_NE(report.error().message().find("the server closed the connection"), std::string::npos)
        << report.error().message();
}

TEST(Runner, SaysWhatIsWrongWithTheOptions) {
    const SystemClock clock;
    Options options;
    options.endpoint = "nowhere";
    EXPECT_EQ(run(options, clock).error().message(), "endpoint 'nowhere' is not ADDRESS:PORT");
    options.connections = 2;
    EXPECT_EQ(run(options, clock).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::bench
