// Whether splicing pays: the CPU time that a relay between two connections takes for a message of
// 1 KiB to 1 MiB over loopback, by the way its bytes go. ./dev bench micro relay
//
//   copy        read_some() into a buffer of 64 KiB and write_all()
//   splice      TcpStream::splice_to()
//   operations  the same through the ring: a thread of the kernel makes each call
//
// One message is under way at a time. relay_us is the CPU time for a message of the process less
// the two threads at the ends: of the relay, and of the kernel's threads that work for it.
#include <benchmark/benchmark.h>
#include <poll.h>

#include <cerrno>
#include <ctime>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/semaphore.h"
#include "io/operation.h"
#include "io/run_testing.h"
#include "io/socket.h"
#include "io/splice_pipe.h"
#include "io/tcp_stream.h"

namespace sluice::io {
namespace {

double cpu_us(clockid_t clock) {
    timespec now{};
    SLUICE_CHECK(clock_gettime(clock, &now) == 0);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void wait_for(int fd, short events) {
    pollfd look{.fd = fd, .events = events, .revents = 0};
    SLUICE_CHECK(::poll(&look, 1, -1) >= 0);
}

// A connection: ours is the end of the load, the relay has the other one.
struct Connection {
    Connection() {
        const Descriptor listening = std::move(*listen_tcp(Address::loopback(0)));
        ours = std::move(*connect_tcp(*local_address(listening.get())));
        wait_for(listening.get(), POLLIN);
        theirs.reset(accept_tcp(listening.get()));
        SLUICE_CHECK(theirs.valid());
    }
    Descriptor ours;
    Descriptor theirs;
};

void copy(TcpStream& from, TcpStream& to) {
    std::vector<std::byte> buffer(limits::kChunkLargeBytes);
    for (;;) {
        const std::size_t n = from.read_some(buffer).value();
        if (n == 0) return;
        SLUICE_CHECK(to.write_all(std::span(buffer).first(n)).has_value());
    }
}

void splice(TcpStream& from, TcpStream& to) {
    while (from.splice_to(to, limits::kSplicePipeBytes).value() > 0) {
    }
}

// One end of the pipe to the socket or back, waiting for the socket where it is not ready.
std::size_t operate(int from, int to, FdWaiter& waiter, std::uint32_t direction,
                    std::size_t bytes) {
    for (;;) {
        Operation operation =
            Operation::splice(from, Operation::kNoOffset, to, Operation::kNoOffset, bytes);
        const std::int64_t n = operation.run(sync::Context::background());
        if (n >= 0) return static_cast<std::size_t>(n);
        SLUICE_CHECK(n == -EAGAIN);
        SLUICE_CHECK(waiter.wait(direction).has_value());
    }
}

void operations(TcpStream& from, TcpStream& to) {
    int ends[2];
    SLUICE_CHECK(sys::pipe(ends[0], ends[1]) == 0);
    const Descriptor reader(ends[0]);
    const Descriptor writer(ends[1]);
    SLUICE_CHECK(sys::set_pipe_bytes(ends[1], limits::kSplicePipeBytes) >= 0);
    FdWaiter readable(from.fd());
    FdWaiter writable(to.fd());
    SLUICE_CHECK(readable.start().has_value() && writable.start().has_value());
    for (;;) {
        std::size_t held =
            operate(from.fd(), ends[1], readable, kReadable, limits::kSplicePipeBytes);
        if (held == 0) return;
        while (held > 0) held -= operate(ends[0], to.fd(), writable, kWritable, held);
    }
}

using Way = void (*)(TcpStream& from, TcpStream& to);

void relay(benchmark::State& state, Way way) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    Connection source;
    Connection sink;
    Semaphore arrived;
    std::thread relaying([&] {
        SLUICE_CHECK(run_on(way == &operations ? "io_uring" : "epoll", 1, [&] {
            const auto from = std::move(*TcpStream::adopt(std::move(source.theirs)));
            const auto to = std::move(*TcpStream::adopt(std::move(sink.theirs)));
            way(*from, *to);
        }));
    });
    std::thread reading([&] {
        std::vector<std::byte> into(1 << 20);
        for (std::size_t got = 0;;) {
            const ssize_t n = receive(sink.ours.get(), into);
            if (n == 0) return;
            if (n == -EAGAIN) wait_for(sink.ours.get(), POLLIN);
            if (n < 0) continue;
            for (got += static_cast<std::size_t>(n); got >= bytes; got -= bytes) arrived.release();
        }
    });
    clockid_t reader_clock{};
    SLUICE_CHECK(pthread_getcpuclockid(reading.native_handle(), &reader_clock) == 0);
    const auto used_us = [&] {
        return cpu_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_us(CLOCK_THREAD_CPUTIME_ID) -
               cpu_us(reader_clock);
    };
    const std::vector<std::byte> message(bytes, std::byte{1});
    const double before_us = used_us();
    for (auto _ : state) {
        for (std::size_t done = 0; done < bytes;) {
            const ssize_t n = transmit(source.ours.get(), std::span(message).subspan(done));
            if (n > 0) done += static_cast<std::size_t>(n);
            if (n == -EAGAIN) wait_for(source.ours.get(), POLLOUT);
        }
        arrived.acquire();
    }
    state.counters["relay_us"] = (used_us() - before_us) / static_cast<double>(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
    source.ours.reset();
    relaying.join();
    reading.join();
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->RangeMultiplier(4)->Range(1 << 10, 1 << 20)->UseRealTime()->MinTime(0.3);
}

BENCHMARK_CAPTURE(relay, copy, &copy)->Apply(sizes);
BENCHMARK_CAPTURE(relay, splice, &splice)->Apply(sizes);
BENCHMARK_CAPTURE(relay, operations, &operations)->Apply(sizes);

}  // namespace
}  // namespace sluice::io
