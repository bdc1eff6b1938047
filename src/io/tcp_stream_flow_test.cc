// TcpStream through real sockets, on every poller: what goes well, what ends, what is called off.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/temporary_dir_testing.h"
#include "io/async_file.h"
#include "io/run_testing.h"
#include "io/socket.h"
#include "io/tcp_ends_testing.h"
#include "rt/runtime.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

class TcpStreamFlowTest : public testing::TestWithParam<const char*> {
  protected:
    void run(unsigned workers, std::function<void()> body) {
        if (run_on(GetParam(), workers, std::move(body))) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no " << GetParam() << " here";
        GTEST_SKIP() << "no " << GetParam() << " here";
    }
};

// More parts than a call takes and more bytes than the socket holds: every write is a partial one.
TEST_P(TcpStreamFlowTest, PartsArriveInOrder) {
    run(2, [] {
        TcpEnds ends;
        std::string text = text_of(8u << 20);
        std::vector<iovec> parts;
        for (std::size_t at = 0, step = 1; at < text.size(); at += parts.back().iov_len) {
            step = step * 13 % 40'009;
            parts.push_back(
                {.iov_base = text.data() + at, .iov_len = std::min(step, text.size() - at)});
        }
        ASSERT_GT(parts.size(), limits::kIoVectorParts);
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(ends.client->write_all(parts));
            ends.client->shutdown_write();
            return {};
        });
        std::string got;
        std::string first(1000, '?');
        std::string second(100'000, '?');
        for (;;) {
            const iovec into[2] = {{.iov_base = first.data(), .iov_len = first.size()},
                                   {.iov_base = second.data(), .iov_len = second.size()}};
            const std::size_t n = ends.server->read_some(into).value();
            if (n == 0) break;
            got.append(first, 0, std::min(n, first.size()));
            if (n > first.size()) got.append(second, 0, n - first.size());
        }
        EXPECT_TRUE(got == text);
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST_P(TcpStreamFlowTest, HalfClosedStreamStillAnswers) {
    run(1, [] {
        TcpEnds ends;
        ASSERT_TRUE(ends.client->write_all(bytes_of("question")).has_value());
        ends.client->shutdown_write();
        EXPECT_EQ(read_to_end(*ends.server), "question");
        const std::string answer = text_of(3u << 20);
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(ends.server->write_all(bytes_of(answer)));
            ends.server->shutdown_write();
            return {};
        });
        EXPECT_TRUE(read_to_end(*ends.client) == answer);
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(ends.client->write_all(bytes_of("more")).error().code(), Code::kUnavailable);
    });
}

TEST_P(TcpStreamFlowTest, ResetEndsAWaitingRead) {
    run(1, [] {
        TcpEnds ends;
        sync::Group group(nullptr);
        group.spawn([&] {
            std::byte byte;
            EXPECT_EQ(ends.client->read_some({&byte, 1}).error().code(), Code::kUnavailable);
        });
        rt::yield();
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ASSERT_EQ(
            sys::setsockopt(ends.server->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        ends.server.reset();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(ends.client->write_all(bytes_of("x")).error().code(), Code::kUnavailable);
    });
}

TEST_P(TcpStreamFlowTest, ShutdownEndsAWaitingRead) {
    run(1, [] {
        TcpEnds ends;
        sync::Group group(nullptr);
        group.spawn([&] {
            std::byte byte;
            EXPECT_EQ(ends.client->read_some({&byte, 1}).value(), 0u);
        });
        rt::yield();
        ends.client->shutdown();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(read_to_end(*ends.server), "");
    });
}

// A peer that does not read: deadline and cancel end the wait for space, and the stream is whole
// afterwards as far as it was sent.
TEST_P(TcpStreamFlowTest, WritesEndWithTheirContext) {
    run(1, [] {
        TcpEnds ends;
        const std::string block = text_of(16u << 20);
        sync::Context deadline(nullptr, sync::deadline_after(5 * kMillisecond));
        EXPECT_EQ(ends.client->write_all(bytes_of(block), deadline).error().code(),
                  Code::kDeadlineExceeded);
        sync::Context cancelled(nullptr);
        sync::Group group(nullptr);
        group.spawn([&] { cancelled.cancel("enough"); });
        const iovec part{.iov_base = const_cast<char*>(block.data()), .iov_len = block.size()};
        const Status status = ends.client->write_all(std::span(&part, 1), cancelled);
        EXPECT_EQ(status.error().code(), Code::kCancelled);
        EXPECT_EQ(status.error().message(), "enough");
        ends.client->shutdown_write();
        const std::string got = read_to_end(*ends.server);
        EXPECT_GT(got.size(), 0u);
        EXPECT_TRUE(block.starts_with(got.substr(0, got.size() / 2)));
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST_P(TcpStreamFlowTest, CancelledReadTakesNothing) {
    run(2, [] {
        TcpEnds ends;
        for (int round = 0; round < 200; ++round) {
            sync::Context context(nullptr);
            sync::Group group(nullptr);
            group.spawn([&] { context.cancel(); });
            std::byte byte{'?'};
            const auto cancelled = ends.server->read_some({&byte, 1}, context);
            ASSERT_EQ(cancelled.error().code(), Code::kCancelled);
            ASSERT_EQ(byte, std::byte{'?'});
            ASSERT_TRUE(ends.client->write_all(bytes_of("!")).has_value());
            ASSERT_EQ(ends.server->read_some({&byte, 1}).value(), 1u);
            ASSERT_EQ(byte, std::byte{'!'});
            ASSERT_TRUE(group.wait().has_value());
        }
    });
}

TEST_P(TcpStreamFlowTest, ConnectFailsOrIsCalledOff) {
    run(1, [] {
        Descriptor listening = std::move(*listen_tcp(Address::loopback(0), {.backlog = 0}));
        const Address address = *local_address(listening.get());
        // Nobody accepts: after a few connections the kernel leaves the next ones without answer.
        std::vector<std::unique_ptr<TcpStream>> accepted;
        Code code = Code::kOk;
        for (int i = 0; i < 8 && code == Code::kOk; ++i) {
            sync::Context deadline(nullptr, sync::deadline_after(50 * kMillisecond));
            auto stream = TcpStream::connect(address, deadline);
            if (stream) {
                accepted.push_back(std::move(*stream));
            } else {
                code = stream.error().code();
            }
        }
        EXPECT_EQ(code, Code::kDeadlineExceeded);
        sync::Context cancelled(nullptr);
        sync::Group group(nullptr);
        group.spawn([&] { cancelled.cancel(); });
        EXPECT_EQ(TcpStream::connect(address, cancelled).error().code(), Code::kCancelled);
        EXPECT_TRUE(group.wait().has_value());
        accepted.clear();
        listening.reset();
        EXPECT_EQ(TcpStream::connect(address).error().code(), Code::kUnavailable);
    });
}

TEST_P(TcpStreamFlowTest, SendsPartOfAFile) {
    run(2, [] {
        const TemporaryDir dir;
        const std::string text = text_of(3u << 20);
        AsyncFile file = AsyncFile::open(dir.path("a"), OpenMode::kCreateNew).value();
        ASSERT_TRUE(file.pwrite(bytes_of(text), 0).has_value());
        TcpEnds ends;
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(ends.client->send_file(file.fd(), 1001, text.size() - 2000));
            const Status beyond = ends.client->send_file(file.fd(), text.size() - 10, 11);
            EXPECT_EQ(beyond.error().code(), Code::kOutOfRange);
            ends.client->shutdown_write();
            return {};
        });
        const std::string got = read_to_end(*ends.server);
        EXPECT_TRUE(got == text.substr(1001, text.size() - 2000) + text.substr(text.size() - 10));
        EXPECT_TRUE(group.wait().has_value());
    });
}

// Neither for ever nor by a signal.
TEST_P(TcpStreamFlowTest, SendingAFileEnds) {
    run(1, [] {
        const TemporaryDir dir;
        AsyncFile file = AsyncFile::open(dir.path("a"), OpenMode::kCreateNew).value();
        ASSERT_TRUE(file.fallocate(0, 16u << 20).has_value());
        TcpEnds ends;
        sync::Context deadline(nullptr, sync::deadline_after(5 * kMillisecond));
        EXPECT_EQ(ends.client->send_file(file.fd(), 0, 16u << 20, deadline).error().code(),
                  Code::kDeadlineExceeded);
        ends.client->shutdown_write();
        EXPECT_EQ(ends.client->send_file(file.fd(), 0, 100).error().code(), Code::kUnavailable);
    });
}

INSTANTIATE_TEST_SUITE_P(Pollers, TcpStreamFlowTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sluice::io
