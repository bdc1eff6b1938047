// Sockets, pollers and fibers together, on every poller.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "io/accept_testing.h"
#include "io/buffer_pool.h"
#include "io/echo_testing.h"
#include "io/fd_waiter.h"
#include "io/poller_factory.h"
#include "io/run_testing.h"
#include "io/socket.h"
#include "io/tcp_stream.h"
#include "rt/runtime.h"
#include "sync/event.h"

namespace sluice::io {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

class EchoTest : public testing::TestWithParam<const char*> {
  protected:
    void run(unsigned workers, std::function<void()> body) {
        if (run_on(GetParam(), workers, std::move(body))) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no " << GetParam() << " here";
        GTEST_SKIP() << "no " << GetParam() << " here";
    }
};

// Sends a text and reads it back, some times; every answer must be the text.
Status converse(const Address& address, int number, int rounds) {
    SLUICE_TRY_ASSIGN(auto stream, TcpStream::connect(address));
    for (int round = 0; round < rounds; ++round) {
        const std::string text = fmt::format("message {} of client {}", round, number);
        SLUICE_TRY(stream->write_all(bytes_of(text)));
        std::string answer(text.size(), '?');
        SLUICE_TRY(
            stream->read_all(std::as_writable_bytes(std::span(answer.data(), answer.size()))));
        if (answer != text) return fail(Code::kDataLoss, answer);
    }
    return {};
}

TEST_P(EchoTest, AThousandConnections) {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8192);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    const int clients = files.rlim_cur >= 2200 ? 1'000 : 200;
    run(2, [clients] {
        EchoServer server;
        ASSERT_TRUE(server.start().has_value());
        sync::Group group(nullptr);
        sync::Event all_connected;
        std::atomic<int> connected{0};
        for (int c = 0; c < clients; ++c) {
            group.spawn([&, c]() -> Status {
                SLUICE_TRY_ASSIGN(auto idle, TcpStream::connect(server.address()));
                if (connected.fetch_add(1) + 1 == clients) all_connected.set();
                SLUICE_TRY(all_connected.wait());
                // All are open now; half of them stay idle beside the busy ones.
                if (c % 2 == 0) return {};
                return converse(server.address(), c, 10);
            });
        }
        const Status status = group.wait();
        EXPECT_TRUE(status.has_value()) << status.error().message();
        EXPECT_EQ(server.accept_stats().accepted,
                  static_cast<std::uint64_t>(clients + clients / 2));
        EXPECT_GT(server.echoed_bytes(), 0u);
        EXPECT_TRUE(server.stop().has_value());
        EXPECT_EQ(server.connections(), 0u);
    });
}

// More than the socket buffers hold: the writer must wait while the reader drains.
TEST_P(EchoTest, WriterWaitsForSpace) {
    run(2, [] {
        auto listening = listen_tcp(Address::loopback(0));
        ASSERT_TRUE(listening.has_value());
        const Address address = *local_address(listening->get());
        auto client = TcpStream::connect(address);
        ASSERT_TRUE(client.has_value());
        auto server = TcpStream::adopt(accept_next(listening->get()));
        ASSERT_TRUE(server.has_value());
        const std::size_t total = 16u << 20;
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            std::string block(1 << 20, 'x');
            for (std::size_t sent = 0; sent < total; sent += block.size()) {
                SLUICE_TRY((*client)->write_all(bytes_of(block)));
            }
            (*client)->shutdown_write();
            return {};
        });
        std::size_t received = 0;
        std::vector<std::byte> buffer(100'000);
        for (;;) {
            auto n = (*server)->read_some(buffer);
            ASSERT_TRUE(n.has_value());
            if (*n == 0) break;
            received += *n;
        }
        EXPECT_EQ(received, total);
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST_P(EchoTest, ReadsEndWithTheirContext) {
    run(2, [] {
        auto listening = listen_tcp(Address::loopback(0));
        ASSERT_TRUE(listening.has_value());
        auto client = TcpStream::connect(*local_address(listening->get()));
        ASSERT_TRUE(client.has_value());
        std::byte byte;
        sync::Context deadline(nullptr, sync::deadline_after(2 * kMillisecond));
        EXPECT_EQ((*client)->read_some({&byte, 1}, deadline).error().code(),
                  Code::kDeadlineExceeded);
        sync::Context cancelled(nullptr);
        sync::Group group(nullptr);
        group.spawn([&] { cancelled.cancel(); });  // before or during the wait: the same
        EXPECT_EQ((*client)->read_some({&byte, 1}, cancelled).error().code(), Code::kCancelled);
        EXPECT_TRUE(group.wait().has_value());
        // The stream still works.
        Descriptor server = accept_next(listening->get());
        EXPECT_EQ(transmit(server.get(), bytes_of("x")), 1);
        EXPECT_EQ((*client)->read_some({&byte, 1}).value(), 1u);
        EXPECT_EQ(byte, std::byte('x'));
        server.reset();
        EXPECT_EQ((*client)->read_some({&byte, 1}).value(), 0u);
    });
}

struct WatchedPair {
    WatchedPair() {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        ours = Descriptor(fds[0]);
        peer = Descriptor(fds[1]);
        waiter.emplace(ours.get());
        EXPECT_TRUE(waiter->start().has_value());
    }
    Descriptor ours, peer;
    std::optional<FdWaiter> waiter;  // of ours
};

// Returns once the poller has reported an edge that came after all those before: on one worker.
void pass_a_poll() {
    WatchedPair last;
    ASSERT_EQ(transmit(last.peer.get(), bytes_of("x")), 1);
    EXPECT_TRUE(last.waiter->wait(kReadable).has_value());
}

TEST_P(EchoTest, ReadinessIsRememberedWhileNobodyWaits) {
    run(1, [] {
        WatchedPair pair;
        pass_a_poll();  // the readiness at the start has been reported
        for (int round = 0; round < 3; ++round) {
            ASSERT_EQ(transmit(pair.peer.get(), bytes_of("x")), 1);
            pass_a_poll();  // the edge passes
            sync::Context deadline(nullptr, sync::deadline_after(30 * kSecond));
            EXPECT_TRUE(pair.waiter->wait(kReadable, deadline).has_value());
            std::byte byte;
            EXPECT_EQ(receive(pair.ours.get(), {&byte, 1}), 1);
        }
        sync::Context deadline(nullptr, sync::deadline_after(2 * kMillisecond));
        EXPECT_FALSE(pair.waiter->wait(kReadable, deadline).has_value());
    });
}

TEST_P(EchoTest, ARefusedConnectIsAnError) {
    run(1, [] {
        auto listening = listen_tcp(Address::loopback(0));
        ASSERT_TRUE(listening.has_value());
        const Address address = *local_address(listening->get());
        listening->reset();
        rt::yield();
        auto stream = TcpStream::connect(address);
        ASSERT_FALSE(stream.has_value());
        EXPECT_EQ(stream.error().code(), Code::kUnavailable);
    });
}

// Without a free descriptor the client is turned away rather than left hanging; afterwards the
// listener accepts again.
TEST_P(EchoTest, ListenerSurvivesRunningOutOfDescriptors) {
    run(1, [] {
        EchoServer server;
        ASSERT_TRUE(server.start().has_value());
        ASSERT_TRUE(converse(server.address(), 0, 1).has_value());
        while (server.connections() > 0) rt::sleep_for(kMillisecond);
        // Nothing suspends until all descriptors are taken: the listener has not seen the client.
        auto client = connect_tcp(server.address());
        ASSERT_TRUE(client.has_value());
        rlimit before{};
        ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
        rlimit tight = before;
        tight.rlim_cur = 256;
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
        std::vector<Descriptor> fillers;
        for (int fd; (fd = sys::open("/dev/null", 0, 0)) >= 0;) fillers.emplace_back(fd);
        ASSERT_GT(fillers.size(), 0u);

        while (server.accept_stats().turned_away == 0) rt::sleep_for(kMillisecond);
        std::byte byte;
        ssize_t n = -EAGAIN;
        while (n == -EAGAIN) {
            rt::sleep_for(kMillisecond);
            n = receive(client->get(), {&byte, 1});
        }
        EXPECT_TRUE(n == 0 || n == -ECONNRESET) << n;
        EXPECT_EQ(server.accept_stats().accepted, 1u);

        fillers.clear();
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
        EXPECT_TRUE(converse(server.address(), 1, 1).has_value());
        EXPECT_EQ(server.accept_stats().accepted, 2u);
        EXPECT_TRUE(server.stop().has_value());
    });
}

TEST_P(EchoTest, BuffersComeBack) {
    run(1, [] {
        EchoServer server;
        ASSERT_TRUE(server.start().has_value());
        const auto buffers = [] { return current_poller().buffers().stats(ChunkSize::kSmall); };
        for (int i = 0; i < 20; ++i) {
            ASSERT_TRUE(converse(server.address(), i, 2).has_value());
            while (buffers().borrowed > 0) rt::sleep_for(kMillisecond);
        }
        const auto stats = buffers();
        EXPECT_EQ(stats.borrowed, 0u);
        EXPECT_LE(stats.misses, 2u);
        EXPECT_GE(stats.hits, 38u);
        EXPECT_TRUE(server.stop().has_value());
    });
}

INSTANTIATE_TEST_SUITE_P(Pollers, EchoTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sluice::io
