// Calls from one end to the other: a server on a real runtime, a client on real sockets.
#include "net/grpc/grpc_protocol.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "net/grpc/grpc_client_testing.h"
#include "net/grpc/grpc_testing.h"
#include "sync/event.h"

namespace sluice::grpc {
namespace {

Message text_message(std::string_view text) {
    Message message;
    message.body().append(text);
    return message;
}

// What the streams of one test have seen.
struct Seen {
    std::atomic<int> opened{0}, cancelled{0}, destroyed{0}, messages{0}, half_closed{0};
    std::atomic<std::size_t> unsent_max{0};
    sync::Event gate;
};

class EchoStream : public ServerStream {
  public:
    EchoStream(CallRef call, Seen& seen) : call_(std::move(call)), seen_(seen) { ++seen_.opened; }
    ~EchoStream() override { ++seen_.destroyed; }
    void on_message(std::string_view message) override {
        ++seen_.messages;
        if (message == "finish") return call_->finish(text_message("finished"));
        if (message == "fail") return call_->finish(Error(Code::kDataLoss, "asked for"));
        call_->send(text_message(message));
    }
    void on_half_close() override {
        ++seen_.half_closed;
        call_->finish_ok();
    }
    void on_cancel() override { ++seen_.cancelled; }

  protected:
    CallRef call_;
    Seen& seen_;
};

// Sends `total` messages of 10,000 bytes, as fast as its client takes them.
class SourceStream final : public EchoStream {
  public:
    using EchoStream::EchoStream;
    void on_message(std::string_view message) override {
        left_ = std::stoi(std::string(message));
        on_writable();
    }
    void on_half_close() override {}
    void on_writable() override {
        const std::string text(10'000, 's');
        while (left_ > 0) {
            --left_;
            const bool more = call_->send(text_message(text));
            seen_.unsent_max = std::max(seen_.unsent_max.load(), call_->unsent_bytes());
            if (left_ == 0) return call_->finish_ok();
            if (!more) return;
        }
    }

  private:
    int left_ = 0;
};

// Takes numbers in pairs, as WatchCall takes events; is told of more while it sends the first.
class PairsStream final : public EchoStream {
  public:
    using EchoStream::EchoStream;
    void on_message(std::string_view) override { call_->wake(); }
    void on_half_close() override {}
    void on_writable() override {
        if (next_ == 6) return call_->finish_ok();
        const int first = next_;
        next_ += 2;
        call_->wake();
        call_->send(text_message(std::to_string(first)));
        call_->send(text_message(std::to_string(first + 1)));
    }

  private:
    int next_ = 0;
};

// Finishes before its factory has returned.
class EarlyStream final : public EchoStream {
  public:
    EarlyStream(CallRef call, Seen& seen) : EchoStream(std::move(call), seen) {
        call_->finish(Error(Code::kUnavailable, "not today"));
    }
};

// Takes its request and says nothing.
class QuietStream final : public EchoStream {
  public:
    using EchoStream::EchoStream;
    void on_message(std::string_view) override { ++seen_.messages; }
    void on_half_close() override {}
};

// Ends in its turn while a fiber of its own still sends.
class LateStream final : public EchoStream {
  public:
    using EchoStream::EchoStream;
    void on_message(std::string_view) override {
        call_->finish(Error(Code::kUnavailable, "over"));
        call_->run([call = call_, &seen = seen_] {
            if (!call->send(text_message("too late"))) ++seen.messages;
        });
    }
    void on_half_close() override {}
};

class GrpcTest : public testing::TestWithParam<const char*> {
  protected:
    GrpcBox& start(GrpcBox::Options options = {}) {
        options.poller = GetParam();
        box_ = std::make_unique<GrpcBox>(options, [this](ServiceRegistry& s) { fill(s); });
        return *box_;
    }
    template <class Stream>
    StreamHandler makes() {
        return [this](CallRef call) { return std::make_unique<Stream>(std::move(call), seen_); };
    }
    void fill(ServiceRegistry& services) {
        services.unary("/t.S/Echo", [](CallRef call, std::string_view request) {
            call->finish(text_message(request));
        });
        services.unary("/t.S/Fail", [](CallRef call, std::string_view request) {
            call->finish(Error(Code::kFailedPrecondition, std::string(request)));
        });
        services.unary("/t.S/Gate", [this](CallRef call, std::string_view) {
            ++seen_.opened;
            call->run([this, call] {
                (void)seen_.gate.wait();
                if (call->done()) ++seen_.cancelled;
                call->finish(text_message("through"));
            });
        });
        services.unary("/t.S/Big", [](CallRef call, std::string_view request) {
            call->finish(text_message(
                std::string(static_cast<std::size_t>(std::stoi(std::string(request))), 'b')));
        });
        services.stream("/t.S/Bidi", MethodKind::kBidiStream, makes<EchoStream>());
        services.stream("/t.S/Source", MethodKind::kServerStream, makes<SourceStream>());
        services.stream("/t.S/Pairs", MethodKind::kBidiStream, makes<PairsStream>());
        services.stream("/t.S/Quiet", MethodKind::kServerStream, makes<QuietStream>());
        services.stream("/t.S/Late", MethodKind::kBidiStream, makes<LateStream>());
        services.stream("/t.S/Early", MethodKind::kBidiStream, makes<EarlyStream>());
    }
    bool eventually(const std::function<bool()>& condition) {
        return box_->server().eventually(condition);
    }

    Seen seen_;
    std::unique_ptr<GrpcBox> box_;
};

INSTANTIATE_TEST_SUITE_P(Pollers, GrpcTest, testing::Values("epoll", "io_uring"));

TEST_P(GrpcTest, Unary) {
    TestClient client(start().port());
    for (const char* text : {"hello", "", "again"}) {
        const TestReply& reply = client.call("/t.S/Echo", text);
        EXPECT_EQ(reply.http_status, "200");
        EXPECT_EQ(reply.status, "0");
        EXPECT_EQ(reply.messages, std::vector<std::string>{text});
        EXPECT_EQ(reply.header_blocks, 2);
        EXPECT_FALSE(reply.reset);
    }
}

TEST_P(GrpcTest, ErrorsAreTrailersOnly) {
    TestClient client(start().port());
    const TestReply& reply = client.call("/t.S/Fail", "50% \xc3\xbc\n");
    EXPECT_EQ(reply.http_status, "200");
    EXPECT_EQ(reply.status, "9");
    EXPECT_EQ(reply.message, "50%25 %C3%BC%0A");
    EXPECT_EQ(reply.header_blocks, 1);
    EXPECT_TRUE(reply.messages.empty());
}

TEST_P(GrpcTest, UnknownServiceAndMethod) {
    TestClient client(start().port());
    const auto expect = [&](const char* path, const char* text) {
        const TestReply& reply = client.call(path, "x");
        EXPECT_EQ(reply.status, "12") << path;
        EXPECT_EQ(reply.message, text);
    };
    expect("/t.S/Nothing", "unknown method Nothing for service t.S");
    expect("/no.Service/Echo", "unknown service no.Service");
    expect("/nothing", "malformed method name: \"/nothing\"");
}

TEST_P(GrpcTest, WhatIsNoGrpcIsAnsweredWhenItIsComplete) {
    TestClient client(start().port());
    const auto id = client.open("/t.S/Echo", {{"content-type", "application/grpcx"}});
    client.send_raw(id, "body", false);
    EXPECT_EQ(client.call("/t.S/Echo", "other").status, "0");
    EXPECT_FALSE(client.reply(id).ended);
    client.half_close(id);
    const TestReply& reply = client.wait(id);
    EXPECT_EQ(reply.http_status, "415");
    EXPECT_EQ(reply.body, "invalid gRPC request content-type \"application/grpcx\"\n");
    EXPECT_EQ(client.call("/t.S/Echo", "x", {{"content-type", "application/grpc+proto"}}).status,
              "0");
    const auto gone = client.open("/t.S/Echo", {{"content-type", "text/plain"}});
    client.reset(gone);
    EXPECT_EQ(client.call("/t.S/Echo", "x").status, "0");
}

TEST_P(GrpcTest, CompressionIsRefused) {
    TestClient client(start().port());
    EXPECT_EQ(client.call("/t.S/Echo", "x", {{"grpc-encoding", "gzip"}}).status, "12");
    const auto id = client.open("/t.S/Echo");
    client.send_raw(id, std::string_view("\x01\0\0\0\x01x", 6), true);
    EXPECT_EQ(client.wait(id).status, "12");
    const auto odd = client.open("/t.S/Echo");
    client.send_raw(odd, std::string_view("\x07\0\0\0\x01x", 6), true);
    EXPECT_EQ(client.wait(odd).status, "13");
}

TEST_P(GrpcTest, MessageLimit) {
    TestClient client(start({.receive_bytes_max = 100'000}).port());
    EXPECT_EQ(client.call("/t.S/Echo", std::string(100'000, 'm')).messages[0].size(), 100'000u);
    const TestReply& reply = client.call("/t.S/Echo", std::string(100'001, 'm'));
    EXPECT_EQ(reply.status, "8");
    EXPECT_EQ(reply.message, "grpc: received message larger than max (100001 vs. 100000)");
    EXPECT_EQ(client.call("/t.S/Echo", "still").status, "0");
}

TEST_P(GrpcTest, CardinalityOfUnaryCalls) {
    TestClient client(start().port());
    const auto none = client.open("/t.S/Echo");
    client.half_close(none);
    EXPECT_EQ(client.wait(none).status, "13");
    const auto two = client.open("/t.S/Gate");
    client.send(two, "1");
    client.send(two, "2", true);
    EXPECT_EQ(client.wait(two).status, "13");
    const auto half = client.open("/t.S/Echo");
    client.send_raw(half, std::string_view("\0\0\0\0\x05x", 6), true);
    EXPECT_EQ(client.wait(half).status, "13");
    seen_.gate.set();
}

TEST_P(GrpcTest, CardinalityOfServerStreams) {
    TestClient client(start().port());
    const auto none = client.open("/t.S/Quiet");
    client.half_close(none);
    EXPECT_EQ(client.wait(none).status, "13");
    EXPECT_EQ(seen_.messages, 0);
    const auto two = client.open("/t.S/Quiet");
    client.send(two, "1");
    client.send(two, "2");
    EXPECT_EQ(client.wait(two).status, "13");
    EXPECT_EQ(seen_.messages, 1);
    EXPECT_EQ(seen_.cancelled, 2);
    EXPECT_TRUE(eventually([&] { return seen_.destroyed == 2; }));
    EXPECT_EQ(client.call("/t.S/Source", "3").messages.size(), 3u);
}

TEST_P(GrpcTest, WhatIsSentAfterTheEndIsDropped) {
    TestClient client(start().port());
    const TestReply& reply = client.call("/t.S/Late", "x");
    EXPECT_EQ(reply.status, "14");
    EXPECT_TRUE(eventually([&] { return seen_.messages == 1; }));
    EXPECT_TRUE(reply.messages.empty());
    EXPECT_EQ(client.call("/t.S/Echo", "after").status, "0");
}

TEST_P(GrpcTest, BidiStream) {
    TestClient client(start().port());
    const auto id = client.open("/t.S/Bidi");
    for (int i = 0; i < 3; ++i) {
        client.send(id, "m" + std::to_string(i));
        const auto arrived = [&] { return client.reply(id).messages.size() > std::size_t(i); };
        ASSERT_TRUE(client.until(arrived));
    }
    client.half_close(id);
    EXPECT_EQ(client.wait(id).status, "0");
    EXPECT_EQ(client.reply(id).messages, (std::vector<std::string>{"m0", "m1", "m2"}));
    EXPECT_TRUE(eventually([&] { return seen_.destroyed == 1; }));
    EXPECT_EQ(seen_.cancelled, 0);
}

TEST_P(GrpcTest, WokenWhileItSendsKeepsItsOrder) {
    TestClient client(start().port());
    const TestReply& reply = client.call("/t.S/Pairs", "x");
    EXPECT_EQ(reply.status, "0");
    EXPECT_EQ(reply.messages, (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
}

TEST_P(GrpcTest, StreamsThatEndInsideTheirOwnCallbacks) {
    TestClient client(start().port());
    for (const char* last : {"finish", "fail"}) {
        const auto id = client.open("/t.S/Bidi");
        client.send(id, "a");
        client.send(id, last);
        client.send(id, "never seen", true);
        EXPECT_EQ(client.wait(id).status, std::string_view(last) == "fail" ? "15" : "0");
    }
    EXPECT_EQ(seen_.messages, 4);
    const TestReply& early = client.call("/t.S/Early", "x");
    EXPECT_EQ(early.status, "14");
    EXPECT_TRUE(eventually([&] { return seen_.destroyed == 3; }));
    EXPECT_EQ(seen_.opened, 3);
    EXPECT_EQ(seen_.cancelled, 0);
}

TEST_P(GrpcTest, ResetCancelsTheHandler) {
    TestClient client(start().port());
    const auto stream = client.open("/t.S/Bidi");
    client.send(stream, "a");
    const auto unary = client.start("/t.S/Gate", "");
    ASSERT_TRUE(eventually([&] { return seen_.opened == 2; }));
    client.reset(stream);
    client.reset(unary);
    EXPECT_TRUE(eventually([&] { return seen_.cancelled == 1 && seen_.destroyed == 1; }));
    EXPECT_EQ(client.call("/t.S/Echo", "after").status, "0");  // the resets have been taken
    seen_.gate.set();
    EXPECT_TRUE(eventually([&] { return seen_.cancelled == 2; }));
}

TEST_P(GrpcTest, DeadlineEndsTheCall) {
    TestClient client(start().port());
    const auto unary = client.start("/t.S/Gate", "", {{"grpc-timeout", "1H"}});
    const auto stream = client.open("/t.S/Bidi", {{"grpc-timeout", "3600S"}});
    const auto empty = client.open("/t.S/Echo", {{"grpc-timeout", "60M"}});  // and no message
    EXPECT_EQ(client.call("/t.S/Echo", "x", {{"grpc-timeout", "1H"}}).status, "0");
    ASSERT_TRUE(eventually([&] { return seen_.opened == 2; }));
    box_->server().skip(3601 * kSecond);
    for (const auto id : {unary, stream, empty}) {
        const TestReply& reply = client.wait(id);
        EXPECT_EQ(reply.status, "4");
        EXPECT_EQ(reply.message, "context deadline exceeded");
    }
    EXPECT_TRUE(eventually([&] { return seen_.destroyed == 1; }));
    seen_.gate.set();
    EXPECT_TRUE(eventually([&] { return seen_.cancelled == 2; }));
    EXPECT_EQ(client.call("/t.S/Echo", "x", {{"grpc-timeout", "1x"}}).status, "13");
}

// Deadlines that pass while their calls are answered: every call ends once, one way or the other.
TEST_P(GrpcTest, DeadlinesAndAnswersRace) {
    TestClient client(start().port());
    seen_.gate.set();
    std::vector<http2::StreamId> ids;
    for (int i = 0; i < 2000; ++i) {
        ids.push_back(
            client.start("/t.S/Gate", "", {{"grpc-timeout", std::to_string(i % 300) + "u"}}));
        if (ids.size() < 100) continue;
        for (const auto id : ids) {
            const std::string status = client.wait(id).status;
            EXPECT_TRUE(status == "0" || status == "4") << status;
        }
        ids.clear();
    }
}

TEST_P(GrpcTest, ConnectionClosesWithCallsInFlight) {
    start();
    for (const bool with_reset : {false, true}) {
        const int opened = seen_.opened + 2;
        const int messages = seen_.messages + 1;
        TestClient client(box_->port());
        const auto stream = client.open("/t.S/Bidi");
        client.send(stream, "a");
        (void)client.start("/t.S/Gate", "");
        ASSERT_TRUE(
            eventually([&] { return seen_.opened == opened && seen_.messages == messages; }));
        if (with_reset) client.socket().reset();
    }
    ASSERT_TRUE(eventually([&] { return seen_.destroyed == 2; }));
    seen_.gate.set();
    EXPECT_TRUE(eventually([&] { return box_->server().counters().open == 0; }));
}

TEST_P(GrpcTest, HalfClosedClientGetsTheAnswersOfCompleteRequests) {
    TestClient client(start().port());
    const auto whole = client.start("/t.S/Gate", "");
    const auto stream = client.open("/t.S/Bidi");
    client.send(stream, "a");
    ASSERT_TRUE(eventually([&] { return seen_.opened == 2; }));
    client.socket().shut_down_sending();
    ASSERT_TRUE(eventually([&] { return seen_.destroyed == 1; }));
    EXPECT_EQ(seen_.cancelled, 1);  // more requests of the stream can never come
    seen_.gate.set();
    EXPECT_EQ(client.wait(whole).status, "0");
    client.wait_closed();
    EXPECT_TRUE(eventually([&] { return box_->server().counters().open == 0; }));
}

TEST_P(GrpcTest, StopDrainsCallsAndEndsStreamsAtTheDeadline) {
    GrpcBox& box = start();
    TestClient client(box.port()), second(box.port());
    const auto call = client.start("/t.S/Gate", "");
    const auto stream = second.open("/t.S/Bidi");
    second.send(stream, "a");
    ASSERT_TRUE(eventually([&] { return seen_.opened == 2; }));
    box.server().begin_stop(3600 * kSecond);
    ASSERT_TRUE(client.until([&] { return client.got_goaway(); }));
    seen_.gate.set();
    EXPECT_EQ(client.wait(call).status, "0");
    client.wait_closed();
    EXPECT_TRUE(eventually([&] { return box.server().counters().open == 1; }));
    box.server().skip(3601 * kSecond);
    second.wait_closed();
    EXPECT_TRUE(eventually([&] { return seen_.destroyed == 1; }));
}

}  // namespace
}  // namespace sluice::grpc
