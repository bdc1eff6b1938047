// TCP echo over loopback, 64 bytes, ping-pong: ./build/release/src/io/io_bench. docs/io.md has the
// table.
//
// The server is one worker; the load comes from a plain epoll thread beside it, whose cost is not
// the server's: server_ns is the CPU time of the server's thread for each request, system time
// included.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <thread>
#include <vector>

#include "base/check.h"
#include "io/echo_testing.h"
#include "io/run_testing.h"
#include "io/socket.h"
#include "sync/event.h"

namespace sluice::io {
namespace {

constexpr std::size_t kMessageBytes = 64;

std::int64_t cpu_ns(clockid_t clock) {
    timespec now{};
    SLUICE_CHECK(clock_gettime(clock, &now) == 0);
    return now.tv_sec * kSecond + now.tv_nsec;
}

// A client of many connections, each with one message under way.
class Load {
  public:
    Load(const Address& address, int connections) : epoll_(sys::epoll_create()) {
        for (int i = 0; i < connections; ++i) {
            auto socket = connect_tcp(address);
            SLUICE_CHECK(socket.has_value());
            epoll_event event{.events = EPOLLIN, .data = {.fd = socket->get()}};
            SLUICE_CHECK(sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket->get(), &event) == 0);
            sockets_.push_back(std::move(*socket));
            // A pause for the accept loop when the backlog may be full.
            if (i % 500 == 499) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        for (const Descriptor& socket : sockets_) say(socket.get());
    }

    // Answers until `count` more messages have come back.
    void run(std::int64_t count) {
        while (count > 0) {
            const int ready = sys::epoll_wait(epoll_.get(), events_.data(), 256, -1);
            for (int i = 0; i < ready; ++i) {
                const int fd = events_[static_cast<std::size_t>(i)].data.fd;
                const ssize_t n = receive(fd, message_);
                SLUICE_CHECK(n == kMessageBytes);
                say(fd);
                --count;
            }
        }
    }

  private:
    void say(int fd) { SLUICE_CHECK(transmit(fd, message_) == kMessageBytes); }

    Descriptor epoll_;
    std::vector<Descriptor> sockets_;
    std::array<std::byte, kMessageBytes> message_{};
    std::array<epoll_event, 256> events_;
};

void echo(benchmark::State& state, const char* poller) {
    rlimit files{};
    SLUICE_CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    SLUICE_CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);

    sync::Event stop;
    std::atomic<bool> ready{false};
    std::atomic<bool> forbidden{false};
    Address address;
    std::thread server([&] {
        forbidden = !run_on(poller, 1, [&] {
            EchoServer echo_server;
            SLUICE_CHECK(echo_server.start().has_value());
            address = echo_server.address();
            ready.store(true);
            ready.notify_all();
            (void)stop.wait();
            SLUICE_CHECK(echo_server.stop().has_value());
        });
        ready.store(true);
        ready.notify_all();
    });
    ready.wait(false);
    if (forbidden) {
        server.join();
        state.SkipWithError("forbidden here");
        return;
    }
    clockid_t server_clock{};
    SLUICE_CHECK(pthread_getcpuclockid(server.native_handle(), &server_clock) == 0);
    constexpr std::int64_t kBatch = 10'000;
    {
        Load load(address, static_cast<int>(state.range(0)));
        load.run(2 * kBatch);
        const std::int64_t before_ns = cpu_ns(server_clock);
        for (auto _ : state) load.run(kBatch);
        const std::int64_t used_ns = cpu_ns(server_clock) - before_ns;
        const std::int64_t requests = state.iterations() * kBatch;
        state.SetItemsProcessed(requests);
        state.counters["server_ns"] = static_cast<double>(used_ns) / static_cast<double>(requests);
    }
    stop.set();
    server.join();
}

BENCHMARK_CAPTURE(echo, epoll, "epoll")->Arg(1)->Arg(100)->Arg(1000)->UseRealTime();
BENCHMARK_CAPTURE(echo, io_uring, "io_uring")->Arg(1)->Arg(100)->Arg(1000)->UseRealTime();

}  // namespace
}  // namespace sluice::io
