#include "io/tcp_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

#include "io/accept_testing.h"
#include "io/listener.h"
#include "io/run_testing.h"
#include "io/socket.h"
#include "rt/runtime.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

class TcpStreamTest : public testing::TestWithParam<const char*> {
  protected:
    struct Ends {
        std::unique_ptr<TcpStream> client;
        std::unique_ptr<TcpStream> server;
    };

    // Runs the body on both ends of a connection. `prepare`, on the client's end, comes before the
    // server's end knows of any readiness.
    void run(std::function<void(TcpStream&)> prepare, std::function<void(Ends&)> body) {
        const bool ran = run_on(GetParam(), 2, [&] {
            auto listening = listen_tcp(Address::loopback(0));
            ASSERT_TRUE(listening.has_value());
            auto client = TcpStream::connect(*local_address(listening->get()));
            ASSERT_TRUE(client.has_value());
            if (prepare) prepare(**client);
            auto server = TcpStream::adopt(accept_next(listening->get()));
            ASSERT_TRUE(server.has_value());
            Ends ends{std::move(*client), std::move(*server)};
            body(ends);
        });
        if (ran) return;
        ASSERT_TRUE(may_lack_io_uring()) << "no " << GetParam() << " here";
        GTEST_SKIP() << "no " << GetParam() << " here";
    }
};

// After a short read the stream waits for an edge; the end came with the data and has none.
TEST_P(TcpStreamTest, SeesAnEndThatCameTogetherWithTheData) {
    run(
        [](TcpStream& client) {
            ASSERT_TRUE(client.write_all(bytes_of("last words")).has_value());
            client.shutdown_write();
        },
        [](Ends& ends) {
            std::array<std::byte, 64> buffer;
            EXPECT_EQ(*ends.server->read_some(buffer), 10u);
            EXPECT_EQ(*ends.server->read_some(buffer), 0u);
            EXPECT_EQ(*ends.server->read_some(buffer), 0u);
        });
}

// Data and an end that come after a short read, whether the reader waits already or not yet.
TEST_P(TcpStreamTest, SeesWhatComesAfterAShortRead) {
    run({}, [](Ends& ends) {
        std::array<std::byte, 64> buffer;
        for (int round = 0; round < 100; ++round) {
            sync::Group group(nullptr);
            group.spawn([&] {
                if (round % 2 == 1) rt::sleep_for(50 * kMicrosecond);
                return ends.client->write_all(bytes_of("word"));
            });
            EXPECT_EQ(*ends.server->read_some(buffer), 4u);
            EXPECT_TRUE(group.wait().has_value());
        }
        ends.client->shutdown_write();
        EXPECT_EQ(*ends.server->read_some(buffer), 0u);
    });
}

// Reads that fill their buffer do not know whether more is there: they must look.
TEST_P(TcpStreamTest, ReadsOnAfterAFullBuffer) {
    run([](TcpStream& client) { ASSERT_TRUE(client.write_all(bytes_of("abcdefgh")).has_value()); },
        [](Ends& ends) {
            std::array<std::byte, 4> buffer;
            EXPECT_EQ(*ends.server->read_some(buffer), 4u);
            EXPECT_EQ(*ends.server->read_some(buffer), 4u);
            ends.client->shutdown_write();
            EXPECT_EQ(*ends.server->read_some(buffer), 0u);
        });
}

INSTANTIATE_TEST_SUITE_P(Pollers, TcpStreamTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sluice::io
