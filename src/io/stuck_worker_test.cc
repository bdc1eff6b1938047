// I/O of a worker whose fiber computes for long is served by the other worker meanwhile.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "base/syscall.h"
#include "io/descriptor.h"
#include "io/poller_factory.h"
#include "io/readiness.h"
#include "io/run_testing.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::io {
namespace {

struct Flag : Watch {
    explicit Flag(int fd) : Watch(fd, &Flag::on_ready) {}
    static void on_ready(Watch& watch, std::uint32_t) {
        auto& self = static_cast<Flag&>(watch);
        self.thread = std::this_thread::get_id();
        self.ready = true;
    }
    std::thread::id thread;
    std::atomic<bool> ready = false;
};

class StuckWorkerTest : public testing::TestWithParam<const char*> {};

TEST_P(StuckWorkerTest, ItsEventsAreServed) {
    auto factory = make_poller_factory(GetParam());
    if (!factory && may_lack_io_uring()) GTEST_SKIP() << factory.error().message();
    ASSERT_TRUE(factory);
    rt::Options options;
    options.workers = 2;
    options.make_poller = *factory;
    options.on_stall = [](const rt::StallReport&) {};
    rt::Runtime runtime(std::move(options));
    bool served = false;
    std::thread::id stuck;
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    const Descriptor ours(fds[0]);
    const Descriptor peer(fds[1]);
    Flag flag(ours.get());
    runtime.run([&] {
        ASSERT_TRUE(current_poller().add(flag, kReadable));
        // Until the worker's poller has armed it, and this fiber is back on that worker.
        bool slept = false;
        do {
            slept = rt::sleep_for(20 * kMillisecond);
        } while (!slept || &current_poller() != flag.poller());
        stuck = std::this_thread::get_id();
        EXPECT_EQ(sys::send(peer.get(), "x", 1, 0), 1);
        const SystemClock clock;
        const TimeNs give_up_ns = clock.now_ns() + 30 * kSecond;
        while (!flag.ready && clock.now_ns() < give_up_ns) {
        }
        served = flag.ready;
        flag.poller()->remove(flag);
    });
    EXPECT_TRUE(served);
    EXPECT_NE(flag.thread, stuck);
    EXPECT_EQ(runtime.stats().events_for_others, 1U);
}

INSTANTIATE_TEST_SUITE_P(Pollers, StuckWorkerTest, testing::Values("epoll", "io_uring"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace sluice::io
