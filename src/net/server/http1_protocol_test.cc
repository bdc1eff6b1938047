// HTTP/1.1 connections, and what every connection has: its end, its timeouts, its memory.
#include "net/server/http1_protocol.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/limits.h"
#include "net/server/server_testing.h"

namespace sluice::net {
namespace {

class Http1Only final : public ProtocolFactory {
  public:
    std::unique_ptr<Protocol> http1(Connection& connection) override {
        return std::make_unique<Http1Protocol>(connection, router);
    }
    std::unique_ptr<Protocol> http2(Connection& connection, TimeNs) override {
        return http1(connection);
    }
    HttpRouter router;
};

class Http1Test : public testing::TestWithParam<const char*> {
  protected:
    Http1Test() {
        const auto add = [this](const char* path, HttpHandler handler) {
            protocols_.router.add(path, http1::Method::kGet, std::move(handler));
        };
        add("/hello", [](const http1::Request&) { return HttpAnswer{.body = "hello\n"}; });
        add("/count", [this](const http1::Request&) {
            return HttpAnswer{.body = "<" + std::to_string(counted_++) + ">"};
        });
        add("/big", [this](const http1::Request&) {
            ++counted_;
            return HttpAnswer{.body = std::string(kBigBytes, 'b')};
        });
        add("/gate", [this](const http1::Request&) {
            ++counted_;
            (void)gate_.wait();
            return HttpAnswer{.body = "through\n"};
        });
    }
    ServerBox& start(ServerConfig config = {}) {
        box_ = std::make_unique<ServerBox>(ServerBoxOptions{.poller = GetParam(), .server = config},
                                           protocols_);
        return *box_;
    }
    static std::string get(const std::string& path, const std::string& more = "") {
        return "GET " + path + " HTTP/1.1\r\nhost: test\r\n" + more + "\r\n";
    }

    static constexpr std::size_t kBigBytes = 100 << 10;
    std::atomic<int> counted_{0};
    sync::Event gate_;
    Http1Only protocols_;
    std::unique_ptr<ServerBox> box_;
};

INSTANTIATE_TEST_SUITE_P(Pollers, Http1Test, testing::Values("epoll", "io_uring"));

TEST_P(Http1Test, KeepsTheConnectionForManyRequests) {
    TestSocket socket(start().port());
    for (int i = 0; i < 5; ++i) {
        socket.send(get("/count"));
        const std::string answer = socket.receive_until("<" + std::to_string(i) + ">");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    }
    EXPECT_EQ(box_->counters().accepted, 1u);
}

TEST_P(Http1Test, PipelinedRequestsAreAnsweredInOrder) {
    TestSocket socket(start().port());
    std::string requests;
    for (int i = 0; i < 100; ++i) requests += get("/count");
    socket.send(requests);
    const std::string answers = socket.receive_until("<99>");
    std::size_t at = 0;
    for (int i = 0; i < 100; ++i) {
        at = answers.find("<" + std::to_string(i) + ">", at);
        ASSERT_NE(at, std::string::npos) << i;
    }
}

// A client that asks without reading is served a bounded number of times.
TEST_P(Http1Test, PipelinedAnswersWaitForTheirReader) {
    ServerBox& box = start();
    TestSocket socket(box.port(), 4096);
    constexpr int kRequests = 500;  // 50 MB of answers
    std::string requests;
    for (int i = 0; i < kRequests; ++i) requests += get("/big");
    ASSERT_LT(requests.size(), limits::kReadBytesPerTurn);
    socket.send(requests);
    ASSERT_TRUE(box.eventually([&] { return counted_ > 0; }));
    // What the kernel's buffers take, at most 6 MB, and kHttp1OutputBytes.
    // That no more are served has no event: others are, so often that every worker has had turns.
    for (int i = 0; i < 8; ++i) {
        TestSocket other(box.port());
        for (int call = 0; call < 50; ++call) {
            other.send(get("/hello"));
            ASSERT_NE(other.receive_until("hello"), "");
        }
    }
    EXPECT_LT(counted_, 150);
    std::size_t received = 0;
    while (received < kRequests * kBigBytes) {
        const std::string part = socket.receive();
        ASSERT_FALSE(part.empty());
        received += part.size();
    }
    EXPECT_EQ(counted_, kRequests);
}

TEST_P(Http1Test, ConnectionCloseIsDone) {
    TestSocket socket(start().port());
    socket.send(get("/hello", "connection: close\r\n") + get("/hello"));
    const std::string all = socket.receive_all();
    EXPECT_TRUE(all.ends_with("hello\n")) << all;
    EXPECT_EQ(all.find("HTTP/1.1 200", 5), std::string::npos) << "one answer only";
    EXPECT_FALSE(socket.was_reset());
}

TEST_P(Http1Test, UnknownPathAndWrongMethod) {
    TestSocket socket(start().port());
    socket.send(get("/nowhere"));
    EXPECT_TRUE(socket.receive_until("not found\n").starts_with("HTTP/1.1 404 "));
    socket.send("POST /hello HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab");
    EXPECT_TRUE(socket.receive_until("Allowed\n").starts_with("HTTP/1.1 405 "));
    socket.send("HEAD /hello HTTP/1.1\r\nhost: test\r\n\r\n" + get("/count"));
    const std::string both = socket.receive_until("<0>");
    EXPECT_EQ(both.find("hello"), std::string::npos) << both;
}

// The answer arrives although the client goes on sending: our side is shut down first.
TEST_P(Http1Test, TooLargeHeadIsAnsweredWithoutAReset) {
    ServerBox& box = start();
    TestSocket socket(box.port());
    socket.send("GET /hello HTTP/1.1\r\nx: " + std::string(1 << 20, 'x'));
    const std::string all = socket.receive_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 431 ")) << all.substr(0, 100);
    EXPECT_FALSE(socket.was_reset());
    EXPECT_EQ(box.counters().open, 1u);  // it lingers, until the client closes or time is over
    box.skip(2 * limits::kLingerNs);
    EXPECT_TRUE(box.eventually([&] { return box.counters().open == 0; }));
}

TEST_P(Http1Test, HalfClosedClientGetsItsAnswers) {
    ServerBox& box = start();
    TestSocket socket(box.port());
    socket.send(get("/count") + get("/gate") + get("/count"));
    socket.shut_down_sending();
    ASSERT_NE(socket.receive_until("<0>"), "");
    ASSERT_TRUE(box.eventually([&] { return counted_ == 2; }));
    gate_.set();
    const std::string rest = socket.receive_all();
    EXPECT_NE(rest.find("through"), std::string::npos);
    EXPECT_NE(rest.find("<2>"), std::string::npos);
    EXPECT_TRUE(box.eventually([&] { return box.counters().open == 0; }));
}

// Bytes and end of stream in one event: the end must be seen, too.
TEST_P(Http1Test, ClosedConnectionsAreForgotten) {
    ServerBox& box = start();
    for (int i = 0; i < 200; ++i) {
        TestSocket socket(box.port());
        socket.send(i % 2 == 0 ? "GET /hel" : "G");
        if (i % 3 == 0) socket.reset();
    }
    EXPECT_TRUE(
        box.eventually([&] { return box.counters().accepted == 200 && box.counters().open == 0; }));
}

// A client that is gone while its request is served, with an answer that nobody takes.
TEST_P(Http1Test, HalfClosedSilenceEndsAtItsLimit) {
    ServerBox& box = start();
    TestSocket socket(box.port(), 4096);
    std::string requests;
    for (int i = 0; i < 200; ++i) requests += get("/big");
    socket.send(requests);
    socket.shut_down_sending();
    ASSERT_TRUE(box.eventually([&] { return counted_ > 2; }));
    // Nothing is read: the server has written what the kernel takes, and waits.
    EXPECT_TRUE(box.eventually([&] {
        box.skip(2 * limits::kHalfClosedNs);
        return box.counters().open == 0;
    }));
}

TEST_P(Http1Test, SilentConnectionsEndAtTheHandshakeTimeout) {
    ServerBox& box = start({.keepalive_interval_ns = 0});
    TestSocket silent(box.port()), half_preface(box.port()), half_head(box.port()),
        idle(box.port()), served(box.port());
    half_preface.send("PRI * HT");
    half_head.send("GET /hello HTTP/1.1\r\nho");
    idle.send(get("/hello"));
    ASSERT_NE(idle.receive_until("hello"), "");
    served.send(get("/gate"));
    ASSERT_TRUE(box.eventually([&] { return counted_ == 1 && box.counters().open == 5; }));
    box.skip(limits::kHandshakeTimeoutNs / 2);
    EXPECT_EQ(box.counters().open, 5u);
    box.skip(limits::kHandshakeTimeoutNs * 3 / 4);
    EXPECT_EQ(silent.receive_all(), "");
    EXPECT_EQ(half_preface.receive_all(), "");
    EXPECT_EQ(half_head.receive_all(), "");
    EXPECT_EQ(idle.receive_all(), "");
    // The peer may see its end before the server has counted it.
    EXPECT_TRUE(box.eventually([&] { return box.counters().open == 1; }));
    gate_.set();  // who waits for its answer has not timed out
    EXPECT_NE(served.receive_until("through"), "");
}

TEST_P(Http1Test, NoHttpIsClosedWithoutAnAnswer) {
    TestSocket socket(start().port());
    socket.send("\x16\x03\x01\x02\x01 tls");
    EXPECT_EQ(socket.receive_all(), "");
}

TEST_P(Http1Test, OverTheLimitIsRefused) {
    ServerBox& box = start({.connections_max = 2});
    TestSocket one(box.port()), two(box.port());
    ASSERT_TRUE(box.eventually([&] { return box.counters().open == 2; }));
    TestSocket three(box.port());
    EXPECT_EQ(three.receive_all(), "");
    EXPECT_EQ(box.counters().refused, 1u);
    one.send(get("/hello"));
    EXPECT_NE(one.receive_until("hello"), "");
}

TEST_P(Http1Test, StopLetsRequestsFinish) {
    ServerBox& box = start();
    TestSocket busy(box.port()), idle(box.port());
    idle.send(get("/hello"));
    ASSERT_NE(idle.receive_until("hello"), "");
    busy.send(get("/gate") + get("/hello"));
    ASSERT_TRUE(box.eventually([&] { return counted_ == 1; }));
    box.begin_stop(3600 * kSecond);
    EXPECT_EQ(idle.receive_all(), "");
    gate_.set();
    const std::string answer = busy.receive_all();
    EXPECT_NE(answer.find("through"), std::string::npos);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
}

TEST_P(Http1Test, StopCutsWhatIsLeftAtTheDeadline) {
    ServerBox& box = start();
    TestSocket busy(box.port());
    busy.send(get("/gate"));
    ASSERT_TRUE(box.eventually([&] { return counted_ == 1; }));
    box.begin_stop(0);
    EXPECT_EQ(busy.receive_all(), "");
    gate_.set();
}

// Connections that arrive while the server stops: none is lost, none is left.
TEST_P(Http1Test, ConnectionsThatArriveWhileStopping) {
    for (int round = 0; round < 30; ++round) {
        Http1Only protocols;
        ServerBox box({.poller = GetParam()}, protocols);
        std::vector<std::unique_ptr<TestSocket>> sockets;
        for (int i = 0; i < 20; ++i) sockets.push_back(std::make_unique<TestSocket>(box.port()));
        box.stop(round % 2 == 0 ? 0 : kSecond);
        for (auto& socket : sockets) EXPECT_EQ(socket->receive_all(), "");
    }
}

}  // namespace
}  // namespace sluice::net
