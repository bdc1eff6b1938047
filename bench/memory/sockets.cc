// So many connected sockets, each registered with a poller and held by no fiber.
//
// A process may be allowed fewer descriptors than that. A thread can have a table of descriptors of
// its own (unshare(CLONE_FILES)), so each thread here runs a runtime of one worker and holds as
// many as one table takes: all in one address space. The sockets are TCP over the loopback of a
// network namespace of our own, or Unix socket pairs where we may not make one.
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/descriptor_limit.h"
#include "base/syscall.h"
#include "io/address.h"
#include "io/descriptor.h"
#include "io/poller_factory.h"
#include "io/readiness.h"
#include "modes.h"
#include "rt/runtime.h"

namespace memory_bench {

using namespace sluice;  // a program, not a library

namespace {

constexpr std::size_t kOtherDescriptors = 200;  // of a table: pollers, rings, standard streams
// The kernel frees what earlier processes have left some time after their end; nothing says when.
constexpr auto kKernelSettles = std::chrono::seconds(2);

struct Socket : io::Watch {
    explicit Socket(io::Descriptor descriptor)
        : Watch(descriptor.get(), [](io::Watch&, std::uint32_t) {}), owned(std::move(descriptor)) {}
    io::Descriptor owned;
};

using Pair = std::pair<io::Descriptor, io::Descriptor>;

// A reset instead of TIME_WAIT, of which the machine would soon have too many.
void close_by_reset(int fd) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    SLUICE_CHECK(sys::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
}

class Connector {
  public:
    explicit Connector(bool tcp) {
        if (!tcp) return;
        listener_.reset(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const io::Address any = io::Address::loopback(0);
        SLUICE_CHECK(sys::bind(listener_.get(), any.data(), any.size()) == 0);
        SLUICE_CHECK(sys::listen(listener_.get(), 16) == 0);
        socklen_t bytes = sizeof address_;
        SLUICE_CHECK(
            sys::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address_), &bytes) == 0);
    }

    Pair connect() {
        if (!listener_.valid()) {
            int pair[2];
            SLUICE_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
                         0);
            return {io::Descriptor(pair[0]), io::Descriptor(pair[1])};
        }
        io::Descriptor client(sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        SLUICE_CHECK(sys::connect(client.get(), reinterpret_cast<sockaddr*>(&address_),
                                  sizeof address_) == 0);
        io::Descriptor server(sys::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK));
        SLUICE_CHECK(client.valid() && server.valid());
        close_by_reset(client.get());
        return {std::move(client), std::move(server)};
    }

  private:
    io::Descriptor listener_;
    sockaddr_in address_{};
};

bool own_network() {
    if (unshare(CLONE_NEWNET) != 0) return false;
    const io::Descriptor any(sys::socket(AF_INET, SOCK_DGRAM, 0));
    ifreq loopback{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(any.get(), SIOCSIFFLAGS, &loopback) == 0;
}

// Of one table. Root may raise the limit, unless that was taken from it.
std::size_t descriptors_wanted(std::size_t count) {
    const rlimit enough{.rlim_cur = count + kOtherDescriptors,
                        .rlim_max = count + kOtherDescriptors};
    if (setrlimit(RLIMIT_NOFILE, &enough) == 0) return count;
    const std::uint64_t allowed = raise_descriptor_limit();
    SLUICE_CHECK(allowed > 2 * kOtherDescriptors);
    return std::min<std::size_t>(count, allowed - kOtherDescriptors);
}

struct Plan {
    std::size_t in_this_table;
    bool tcp;
};

// All threads meet: ready, connected, measured.
void hold(const Plan& plan, const io::PollerFactory& pollers, std::barrier<>& meeting) {
    SLUICE_CHECK(unshare(CLONE_FILES) == 0);
    rt::Runtime runtime(
        {.workers = 1, .make_poller = pollers, .blocking_threads_max = 0, .monitor = false});
    runtime.run([&] {
        std::vector<std::unique_ptr<Socket>> sockets;
        sockets.reserve(plan.in_this_table + 1);
        Connector connector(plan.tcp);
        meeting.arrive_and_wait();
        io::Poller& poller = io::current_poller();
        const auto add = [&](io::Descriptor descriptor) {
            Socket& socket = *sockets.emplace_back(std::make_unique<Socket>(std::move(descriptor)));
            SLUICE_CHECK(poller.add(socket, io::kReadable).has_value());
        };
        while (sockets.size() < plan.in_this_table) {
            Pair pair = connector.connect();
            add(std::move(pair.first));
            add(std::move(pair.second));
            rt::yield();  // the worker looks at its poller, which takes submissions
        }
        meeting.arrive_and_wait();
        meeting.arrive_and_wait();
        for (const auto& socket : sockets) poller.remove(*socket);
    });
}

}  // namespace

void hold_sockets(std::size_t count, const std::string& poller) {
    const bool tcp = own_network();
    const auto pollers = io::make_poller_factory(poller);
    SLUICE_CHECK(pollers.has_value());
    const std::size_t in_table = descriptors_wanted(count) / 2 * 2;
    const std::size_t tables = (count + in_table - 1) / in_table;
    std::barrier<> meeting(static_cast<std::ptrdiff_t>(tables + 1));
    std::vector<std::thread> threads;
    std::size_t held = 0;
    for (std::size_t i = 0; i < tables; ++i) {
        const Plan plan{.in_this_table = (std::min(in_table, count - held) + 1) / 2 * 2,
                        .tcp = tcp};
        held += plan.in_this_table;
        threads.emplace_back([plan, &pollers, &meeting] { hold(plan, *pollers, meeting); });
    }
    std::this_thread::sleep_for(kKernelSettles);
    meeting.arrive_and_wait();
    const Usage before = usage();
    meeting.arrive_and_wait();
    const Usage connected = usage();
    meeting.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
    std::printf(R"({"mode": "sockets", "kind": "%s", "poller": "%s", "count": %zu, "tables": %zu, )"
                R"("resident": %lld, "page_tables": %lld, "kernel_slabs": %lld})"
                "\n",
                tcp ? "tcp" : "unix", poller.c_str(), held, tables,
                static_cast<long long>(connected.resident - before.resident),
                static_cast<long long>(connected.page_tables - before.page_tables),
                static_cast<long long>(connected.kernel_slabs - before.kernel_slabs));
}

}  // namespace memory_bench
