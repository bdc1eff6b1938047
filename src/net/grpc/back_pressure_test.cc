// Slow readers, greedy askers, big answers: memory is bounded, order is fair, silence ends.
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "net/grpc/grpc_client_testing.h"
#include "net/grpc/grpc_testing.h"

namespace sluice::grpc {
namespace {

constexpr std::size_t kAnswerBytes = 100'000;

// Answers every message with as many bytes as the test wants.
class AnswerStream final : public ServerStream {
  public:
    AnswerStream(CallRef call, std::atomic<int>& served)
        : call_(std::move(call)), served_(served) {}
    void on_message(std::string_view) override {
        ++served_;
        Message message;
        message.body().append(kAnswerBytes, 'a');
        call_->send(std::move(message));
    }
    void on_half_close() override { call_->finish_ok(); }
    void on_cancel() override {}

  private:
    CallRef call_;
    std::atomic<int>& served_;
};

class BackPressureTest : public testing::TestWithParam<const char*> {
  protected:
    GrpcBox& start(GrpcBox::Options options = {}) {
        options.poller = GetParam();
        box_ = std::make_unique<GrpcBox>(options, [this](ServiceRegistry& services) {
            services.unary("/t.S/Bytes", [this](CallRef call, std::string_view request) {
                ++served_;
                Message message;
                message.body().append(static_cast<std::size_t>(std::stoi(std::string(request))),
                                      'b');
                call->finish(std::move(message));
            });
            services.unary("/t.S/Uncounted",
                           [](CallRef call, std::string_view) { call->finish(Message()); });
            services.stream("/t.S/Answers", MethodKind::kBidiStream, [this](CallRef call) {
                return std::make_unique<AnswerStream>(std::move(call), served_);
            });
        });
        return *box_;
    }
    static TestClient::Options window(std::uint32_t stream_bytes) {
        TestClient::Options options;
        options.session.stream_window_bytes = stream_bytes;
        return options;
    }
    // All may come, as fast as the client reads; what the kernel holds for it is little.
    static TestClient::Options wide_open() {
        TestClient::Options options = window(1 << 30);
        options.session.connection_window_bytes = 1 << 30;
        options.receive_buffer_bytes = 64 << 10;
        return options;
    }
    // Lets others be served so often that every worker has had turns for what it still wants to
    // read from the connection under test. (That something will not happen has no event.)
    void settle() {
        ASSERT_TRUE(box_->server().eventually([&] { return served_ > 0; }));
        for (int i = 0; i < 8; ++i) {
            TestClient other(box_->port());
            for (int call = 0; call < 50; ++call)
                ASSERT_EQ(other.call("/t.S/Uncounted", "").status, "0");
        }
    }

    std::atomic<int> served_{0};
    std::unique_ptr<GrpcBox> box_;
};

INSTANTIATE_TEST_SUITE_P(Pollers, BackPressureTest, testing::Values("epoll", "io_uring"));

TEST_P(BackPressureTest, BigMessagesThroughSmallWindows) {
    TestClient client(start().port(), window(1'000));
    const TestReply& reply = client.call("/t.S/Bytes", "3000000");
    EXPECT_EQ(reply.status, "0");
    EXPECT_EQ(reply.messages.at(0), std::string(3'000'000, 'b'));
}

// A stream whose client asks on and on but reads nothing is served until its answers fill the
// stream's buffer; its requests then wait, and go on when it reads.
TEST_P(BackPressureTest, AskingWithoutReadingIsBounded) {
    start();
    TestClient::Options options = window(0);
    options.grants_window = false;
    TestClient asker(box_->port(), options);
    const auto id = asker.open("/t.S/Answers");
    constexpr int kQuestions = 300;  // 30 MB of answers
    for (int i = 0; i < kQuestions; ++i) asker.send(id, "q");
    settle();
    const int bound =
        static_cast<int>((limits::kStreamUnsentBytes + limits::kHttp2StreamPendingBytes) /
                         kAnswerBytes) +
        2;
    EXPECT_LE(served_, bound);
}

TEST_P(BackPressureTest, RequestsThatWaitedAreAllAnswered) {
    start();
    TestClient client(box_->port(), window(65'535));
    const auto id = client.open("/t.S/Answers");
    constexpr int kQuestions = 300;
    for (int i = 0; i < kQuestions; ++i) client.send(id, "q", i + 1 == kQuestions);
    settle();
    EXPECT_LT(served_, kQuestions);  // nothing has been read so far
    const TestReply& reply = client.wait(id);
    EXPECT_EQ(reply.status, "0");
    EXPECT_EQ(reply.messages.size(), std::size_t{kQuestions});
}

// The same for unary calls, by all of their connection: few answers are made ahead of the client,
// and every call is answered when it reads.
TEST_P(BackPressureTest, UnreadAnswersHoldBackFurtherCalls) {
    start();
    TestClient client(box_->port(), window(65'535));
    constexpr int kCalls = 300;  // 30 MB of answers, of which the peer's window lets out 1 MiB
    std::vector<http2::StreamId> ids;
    for (int i = 0; i < kCalls; ++i) ids.push_back(client.start("/t.S/Bytes", "100000"));
    settle();
    const std::size_t bytes = limits::kHttp2ConnectionPendingBytes +
                              limits::kHttp2ConnectionWindowBytes + limits::kHttp2OutputTurnBytes;
    const int bound = static_cast<int>(bytes / kAnswerBytes + limits::kGrpcUnreadAnswers);
    constexpr int kServedLeast = static_cast<int>(limits::kGrpcUnreadAnswers);
    EXPECT_TRUE(box_->server().eventually([&] { return served_ >= kServedLeast; }));
    EXPECT_LE(served_, bound);
    TestClient other(box_->port());
    EXPECT_EQ(other.call("/t.S/Bytes", "10").status, "0");
    for (const http2::StreamId id : ids) {
        const TestReply& reply = client.wait(id);
        EXPECT_EQ(reply.status, "0");
        EXPECT_EQ(reply.messages.at(0).size(), kAnswerBytes);
    }
    EXPECT_EQ(served_, kCalls + 1);
}

// One huge answer and small calls behind it on the same connection: the small ones do not wait.
TEST_P(BackPressureTest, SmallCallsOvertakeAHugeOne) {
    start();
    TestClient client(box_->port(), wide_open());
    const auto huge = client.start("/t.S/Bytes", "60000000");
    ASSERT_TRUE(client.until([&] { return client.reply(huge).bytes > 0; }));
    std::size_t most = 0;
    for (int i = 0; i < 20; ++i) {
        const std::size_t before = client.reply(huge).bytes;
        EXPECT_EQ(client.call("/t.S/Bytes", "10").status, "0");
        most = std::max(most, client.reply(huge).bytes - before);
    }
    EXPECT_FALSE(client.reply(huge).ended);
    // What lies in front of a small answer: the session's turn and the kernel's two buffers.
    EXPECT_LT(most, 4u << 20);
    EXPECT_EQ(client.wait(huge).messages.at(0).size(), 60'000'000u);
}

// Two huge streams and a medium one share a connection evenly.
TEST_P(BackPressureTest, StreamsTakeTurns) {
    start();
    TestClient client(box_->port(), wide_open());
    const auto a = client.start("/t.S/Bytes", "20000000");
    const auto b = client.start("/t.S/Bytes", "20000000");
    const auto c = client.start("/t.S/Bytes", "2000000");
    (void)client.wait(c);
    // When the small one has ended the others have had their third each, and not much more.
    EXPECT_LT(client.reply(a).bytes, 8'000'000u);
    EXPECT_LT(client.reply(b).bytes, 8'000'000u);
    EXPECT_EQ(client.wait(a).status, "0");
    EXPECT_EQ(client.wait(b).status, "0");
    EXPECT_EQ(client.ended().front(), c);
}

TEST_P(BackPressureTest, KeepaliveEndsTheConnectionOfADeadPeer) {
    start({.server = {.keepalive_interval_ns = 10 * kSecond, .keepalive_timeout_ns = 5 * kSecond}});
    net::ServerBox& server = box_->server();
    TestClient dead(box_->port());
    EXPECT_EQ(dead.call("/t.S/Bytes", "1").status, "0");
    {
        TestClient alive(box_->port());
        for (int i = 0; i < 10; ++i) {
            EXPECT_EQ(alive.call("/t.S/Bytes", "1").status, "0");  // and answers to pings
            server.skip(4 * kSecond);
        }
        EXPECT_EQ(alive.call("/t.S/Bytes", "1").status, "0");
    }
    EXPECT_TRUE(server.eventually([&] {
        server.skip(4 * kSecond);
        return server.counters().open == 0;
    }));
}

TEST_P(BackPressureTest, PrefaceWithoutSettingsTimesOut) {
    start({.server = {.keepalive_interval_ns = 0}});
    net::TestSocket socket(box_->port());
    socket.send(http2::kClientPreface);
    net::ServerBox& server = box_->server();
    ASSERT_TRUE(server.eventually([&] { return server.counters().bytes_received > 0; }));
    server.skip(limits::kHandshakeTimeoutNs + kSecond);
    EXPECT_TRUE(server.eventually([&] { return server.counters().open == 0; }));
}

TEST_P(BackPressureTest, TooManyPingsEndWithAnExplanation) {
    GrpcBox::Options options;
    options.session.keepalive = {.min_interval_ns = 3600 * kSecond, .permit_without_stream = true};
    TestClient client(start(options).port());
    EXPECT_EQ(client.call("/t.S/Bytes", "1").status, "0");
    std::string ping("\0\0\x08\x06\0\0\0\0\0", 9);
    ping += "12345678";
    for (int i = 0; i < 10; ++i) client.socket().send(ping);
    client.wait_closed();
    EXPECT_EQ(client.goaway_text(), "too_many_pings");
}

}  // namespace
}  // namespace sluice::grpc
