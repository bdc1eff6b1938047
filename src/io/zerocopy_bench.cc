// Whether MSG_ZEROCOPY pays on loopback: a sender's CPU time for messages of 4 KiB to 1 MiB, by
// send() with and without it; another thread reads all. ./dev bench micro send_
//
// sender_us is the CPU time of the sending thread for a message, user and system, and with zero
// copy includes reading the notices that a buffer is free again.
#include <benchmark/benchmark.h>
#include <linux/errqueue.h>
#include <poll.h>

#include <cerrno>
#include <ctime>
#include <thread>
#include <vector>

#include "base/check.h"
#include "io/socket.h"

namespace sluice::io {
namespace {

double thread_cpu_us() {
    timespec now{};
    SLUICE_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void wait_for(int fd, short events) {
    pollfd look{.fd = fd, .events = events, .revents = 0};
    SLUICE_CHECK(::poll(&look, 1, -1) >= 0);
}

// Takes the notices that are there; returns for how many calls of send() they stand.
std::uint64_t take_notices(int fd) {
    std::uint64_t count = 0;
    for (;;) {
        char control[128];
        msghdr message{};
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        if (::recvmsg(fd, &message, MSG_ERRQUEUE) < 0) return count;
        const cmsghdr* const header = CMSG_FIRSTHDR(&message);
        SLUICE_CHECK(header != nullptr);
        sock_extended_err notice{};
        __builtin_memcpy(&notice, CMSG_DATA(header), sizeof notice);
        SLUICE_CHECK(notice.ee_origin == SO_EE_ORIGIN_ZEROCOPY);
        count += notice.ee_data - notice.ee_info + 1;
    }
}

void send_messages(benchmark::State& state, bool zero_copy) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    Descriptor listening = std::move(*listen_tcp(Address::loopback(0)));
    Descriptor sender = std::move(*connect_tcp(*local_address(listening.get())));
    wait_for(listening.get(), POLLIN);
    Descriptor receiver(accept_tcp(listening.get()));
    SLUICE_CHECK(receiver.valid());
    std::thread reader([&] {
        std::vector<std::byte> into(1 << 20);
        for (ssize_t n = 1; n != 0;) {
            n = receive(receiver.get(), into);
            if (n == -EAGAIN) wait_for(receiver.get(), POLLIN);
        }
    });
    if (zero_copy) {
        const int on = 1;
        SLUICE_CHECK(sys::setsockopt(sender.get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0);
    }
    const std::vector<std::byte> message(bytes, std::byte{1});
    std::uint64_t sends = 0;
    std::uint64_t notices = 0;
    const double before_us = thread_cpu_us();
    for (auto _ : state) {
        for (std::size_t done = 0; done < bytes;) {
            const ssize_t n = sys::send(sender.get(), message.data() + done, bytes - done,
                                        zero_copy ? MSG_ZEROCOPY : 0);
            if (n > 0) {
                done += static_cast<std::size_t>(n);
                ++sends;
            } else {
                SLUICE_CHECK(n == -EAGAIN || n == -ENOBUFS);
                if (zero_copy) notices += take_notices(sender.get());
                wait_for(sender.get(), POLLOUT);
            }
        }
        if (zero_copy) notices += take_notices(sender.get());
    }
    // The last buffers are ours again only now.
    while (zero_copy && notices < sends) {
        wait_for(sender.get(), 0);
        notices += take_notices(sender.get());
    }
    state.counters["sender_us"] =
        (thread_cpu_us() - before_us) / static_cast<double>(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
    sender.reset();
    reader.join();
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->RangeMultiplier(4)->Range(4 << 10, 1 << 20)->UseRealTime()->MinTime(0.3);
}

BENCHMARK_CAPTURE(send_messages, plain, false)->Apply(sizes);
BENCHMARK_CAPTURE(send_messages, zero_copy, true)->Apply(sizes);

}  // namespace
}  // namespace sluice::io
