// TcpStream::splice_to() on every poller: a relay between two connections, what ends it, and that
// no byte is lost then.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/syscall.h"
#include "base/temporary_dir_testing.h"
#include "io/async_file.h"
#include "io/operation.h"
#include "io/run_testing.h"
#include "io/tcp_ends_testing.h"
#include "rt/runtime.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

constexpr std::size_t kNoLimit = SIZE_MAX;

// source.client -> source.server, which is spliced to sink.client -> sink.server
struct Relay {
    TcpEnds source;
    TcpEnds sink;
    Result<std::size_t> splice(std::size_t bytes_max,
                               const sync::Context& context = sync::Context::background()) {
        return source.server->splice_to(*sink.client, bytes_max, context);
    }
};

// From now on what is sent through the stream fails.
void break_peer(TcpEnds& ends) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(sys::setsockopt(ends.server->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once),
              0);
    ends.server.reset();
    std::byte byte;
    ASSERT_EQ(ends.client->read_some({&byte, 1}).error().code(), Code::kUnavailable);
}

std::size_t open_descriptors() {
    std::vector<std::string> names;
    EXPECT_EQ(sys::list("/proc/self/fd", names), 0);
    return names.size();
}

class TcpStreamSpliceTest : public testing::TestWithParam<const char*> {
  protected:
    void run(unsigned workers, std::function<void()> body) {
        if (run_on(GetParam(), workers, std::move(body))) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no " << GetParam() << " here";
        GTEST_SKIP() << "no " << GetParam() << " here";
    }
};

// In pieces of one byte to half a megabyte: few and many bytes in a slot of the pipe.
TEST_P(TcpStreamSpliceTest, MovesAStreamInOrder) {
    run(2, [] {
        Relay relay;
        const std::string text = text_of(12u << 20);
        std::string got;
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            for (std::size_t at = 0, step = 1; at < text.size();) {
                const std::size_t bytes = std::min(step, text.size() - at);
                SLUICE_TRY(relay.source.client->write_all(bytes_of(text).subspan(at, bytes)));
                at += bytes;
                step = step < 400 ? step + 1 : step * 31 % 524'287;
            }
            relay.source.client->shutdown_write();
            return {};
        });
        group.spawn([&] { got = read_to_end(*relay.sink.server); });
        std::size_t moved = 0;
        for (;;) {
            const std::size_t n = relay.splice(kNoLimit).value();
            if (n == 0) break;
            EXPECT_LE(n, limits::kSplicePipeBytes);
            moved += n;
        }
        relay.sink.client->shutdown_write();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(moved, text.size());
        EXPECT_TRUE(got == text);
    });
}

TEST_P(TcpStreamSpliceTest, TakesNoMoreThanAskedFor) {
    run(1, [] {
        Relay relay;
        ASSERT_TRUE(relay.source.client->write_all(bytes_of("abcdefgh")).has_value());
        EXPECT_EQ(relay.splice(3).value(), 3u);
        relay.source.client->shutdown_write();
        EXPECT_EQ(read_to_end(*relay.source.server), "defgh");
        EXPECT_EQ(relay.splice(3).value(), 0u);
        relay.sink.client->shutdown_write();
        EXPECT_EQ(read_to_end(*relay.sink.server), "abc");
    });
}

TEST_P(TcpStreamSpliceTest, AStreamMayBeItsOwnSink) {
    run(2, [] {
        TcpEnds ends;
        const std::string text = text_of(3u << 20);
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            for (;;) {
                SLUICE_TRY_ASSIGN(const std::size_t n,
                                  ends.server->splice_to(*ends.server, kNoLimit));
                if (n == 0) break;
            }
            ends.server->shutdown_write();
            return {};
        });
        group.spawn([&]() -> Status {
            SLUICE_TRY(ends.client->write_all(bytes_of(text)));
            ends.client->shutdown_write();
            return {};
        });
        EXPECT_TRUE(read_to_end(*ends.client) == text);
        EXPECT_TRUE(group.wait().has_value());
    });
}

// Called off while it waits for bytes: it has taken none.
TEST_P(TcpStreamSpliceTest, CancelledBeforeBytesCameTakesNothing) {
    run(2, [] {
        Relay relay;
        for (int round = 0; round < 200; ++round) {
            sync::Context context(nullptr);
            sync::Group group(nullptr);
            group.spawn([&] { context.cancel("enough"); });
            const auto cancelled = relay.splice(kNoLimit, context);
            ASSERT_EQ(cancelled.error().code(), Code::kCancelled);
            ASSERT_EQ(cancelled.error().message(), "enough");
            ASSERT_TRUE(group.wait().has_value());
            ASSERT_TRUE(relay.source.client->write_all(bytes_of("!")).has_value());
            ASSERT_EQ(relay.splice(kNoLimit).value(), 1u);
            std::byte byte{};
            ASSERT_EQ(relay.sink.server->read_some({&byte, 1}).value(), 1u);
            ASSERT_EQ(byte, std::byte{'!'});
        }
    });
}

// Called off again and again, waiting for bytes or for space; each time it goes on where it was.
TEST_P(TcpStreamSpliceTest, GoesOnWhereADeadlineStoppedIt) {
    run(2, [] {
        Relay relay;
        const std::string text = text_of(12u << 20);
        sync::Context passed(nullptr, sync::deadline_after(0));
        EXPECT_EQ(relay.splice(kNoLimit, passed).error().code(), Code::kDeadlineExceeded);
        std::string got;
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(relay.source.client->write_all(bytes_of(text)));
            relay.source.client->shutdown_write();
            return {};
        });
        group.spawn([&] {
            rt::sleep_for(2 * kMillisecond);  // both sockets are full by then
            got = read_to_end(*relay.sink.server);
        });
        std::size_t moved = 0;
        for (int round = 0;; ++round) {
            sync::Context deadline(nullptr, sync::deadline_after(round % 7 * 20 * kMicrosecond));
            const auto n = relay.splice(round % 3 == 0 ? 100'000 : kNoLimit, deadline);
            if (!n) {
                ASSERT_EQ(n.error().code(), Code::kDeadlineExceeded);
            } else if (*n == 0) {
                break;
            } else {
                moved += *n;
            }
        }
        relay.sink.client->shutdown_write();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(moved, text.size());
        EXPECT_TRUE(got == text);
    });
}

// A sink that does not read any more: the rest is read from the source, after what was in the pipe.
TEST_P(TcpStreamSpliceTest, WhatAFullSinkDidNotTakeCanBeRead) {
    run(2, [] {
        Relay relay;
        const std::string text = text_of(24u << 20);
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(relay.source.client->write_all(bytes_of(text)));
            relay.source.client->shutdown_write();
            return {};
        });
        std::size_t moved = 0;
        for (;;) {
            sync::Context deadline(nullptr, sync::deadline_after(30 * kMillisecond));
            const auto n = relay.splice(kNoLimit, deadline);
            if (!n) {
                EXPECT_EQ(n.error().code(), Code::kDeadlineExceeded);
                break;
            }
            ASSERT_GT(*n, 0u);
            moved += *n;
        }
        const std::string rest = read_to_end(*relay.source.server);
        relay.sink.client->shutdown_write();
        const std::string sent = read_to_end(*relay.sink.server);
        EXPECT_EQ(sent.size(), moved);
        EXPECT_TRUE(sent + rest == text);
        EXPECT_TRUE(group.wait().has_value());
    });
}

// Nothing is lost, no signal ends the process, and another sink may have what the first one
// refused.
TEST_P(TcpStreamSpliceTest, WhatABrokenSinkRefusedIsStillThere) {
    run(1, [] {
        Relay relay;
        const std::string text = text_of(300'000);
        sync::Group group(nullptr);
        group.spawn([&]() -> Status {
            SLUICE_TRY(relay.source.client->write_all(bytes_of(text)));
            relay.source.client->shutdown_write();
            return {};
        });
        break_peer(relay.sink);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(relay.splice(kNoLimit).error().code(), Code::kUnavailable);
        }
        TcpEnds other;
        EXPECT_EQ(relay.source.server->splice_to(*other.client, 10).value(), 10u);
        std::string first(5, '?');
        std::string second(7, '?');
        const iovec into[2] = {{.iov_base = first.data(), .iov_len = first.size()},
                               {.iov_base = second.data(), .iov_len = second.size()}};
        EXPECT_EQ(relay.source.server->read_some(into).value(), 12u);
        EXPECT_EQ(first + second, text.substr(10, 12));
        EXPECT_TRUE(read_to_end(*relay.source.server) == text.substr(22));
        other.client->shutdown_write();
        EXPECT_EQ(read_to_end(*other.server), text.substr(0, 10));
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST_P(TcpStreamSpliceTest, AResetOfTheSourceEndsAWaitingCall) {
    run(1, [] {
        Relay relay;
        sync::Group group(nullptr);
        group.spawn([&] { EXPECT_EQ(relay.splice(kNoLimit).error().code(), Code::kUnavailable); });
        rt::yield();
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ASSERT_EQ(sys::setsockopt(relay.source.client->fd(), SOL_SOCKET, SO_LINGER, &at_once,
                                  sizeof at_once),
                  0);
        relay.source.client.reset();
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST_P(TcpStreamSpliceTest, ThePipeGoesWithTheEndOfTheStream) {
    run(1, [] {
        Relay relay;
        const std::size_t before = open_descriptors();
        ASSERT_TRUE(relay.source.client->write_all(bytes_of("a")).has_value());
        EXPECT_EQ(relay.splice(kNoLimit).value(), 1u);
        EXPECT_EQ(open_descriptors(), before + 2);
        relay.source.client->shutdown_write();
        EXPECT_EQ(relay.splice(kNoLimit).value(), 0u);
        EXPECT_EQ(open_descriptors(), before);
    });
}

// The operation below, with files on both sides of a pipe.
TEST_P(TcpStreamSpliceTest, OperationsMoveFilesThroughAPipe) {
    run(1, [] {
        const TemporaryDir dir;
        const std::string text = text_of(60'000);
        AsyncFile from = AsyncFile::open(dir.path("from"), OpenMode::kCreateNew).value();
        AsyncFile to = AsyncFile::open(dir.path("to"), OpenMode::kCreateNew).value();
        ASSERT_TRUE(from.pwrite(bytes_of(text), 0).has_value());
        int ends[2];
        ASSERT_EQ(sys::pipe(ends[0], ends[1]), 0);
        const Descriptor reader(ends[0]);
        const Descriptor writer(ends[1]);
        for (std::size_t at = 0; at < text.size();) {
            Operation in =
                Operation::splice(from.fd(), at, writer.get(), Operation::kNoOffset, 25'000);
            const std::int64_t taken = in.run(sync::Context::background());
            ASSERT_GT(taken, 0);
            for (std::int64_t left = taken; left > 0;) {
                Operation out = Operation::splice(reader.get(), Operation::kNoOffset, to.fd(), at,
                                                  static_cast<std::size_t>(left));
                const std::int64_t n = out.run(sync::Context::background());
                ASSERT_GT(n, 0);
                left -= n;
                at += static_cast<std::size_t>(n);
            }
        }
        std::string got(text.size() + 1, '?');
        const auto n = to.pread(std::as_writable_bytes(std::span(got)), 0);
        EXPECT_EQ(n.value(), text.size());
        EXPECT_TRUE(got.substr(0, text.size()) == text);
    });
}

INSTANTIATE_TEST_SUITE_P(Pollers, TcpStreamSpliceTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sluice::io
