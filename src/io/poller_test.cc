// One suite for all pollers, on plain threads. What they do under fibers: io/echo_test.cc.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "io/descriptor.h"
#include "io/poller_factory.h"
#include "io/readiness.h"
#include "io/run_testing.h"
#include "io/uring_poller.h"

namespace sluice::io {

// Plays the kernel's part where no test can make the kernel do it for certain.
class UringPollerPeer {
  public:
    static void claim_deferred_work(UringPoller& poller) {
        std::atomic_ref<unsigned>(*poller.ring_.sq.kflags).fetch_or(IORING_SQ_TASKRUN);
    }
};

namespace {

struct Recorder : Watch {
    explicit Recorder(int fd) : Watch(fd, &Recorder::on_ready) {}
    static void on_ready(Watch& watch, std::uint32_t events) {
        auto& self = static_cast<Recorder&>(watch);
        ++self.calls;
        self.seen |= events;
        if (self.then) self.then(self);
    }
    std::uint32_t take() { return std::exchange(seen, 0); }

    int calls = 0;
    std::uint32_t seen = 0;
    std::function<void(Recorder&)> then;
};

struct Pair {
    Pair() {
        int fds[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        ours.reset(fds[0]);
        peer.reset(fds[1]);
    }
    void feed(std::string_view text = "x") {
        EXPECT_EQ(sys::send(peer.get(), text.data(), text.size(), 0),
                  static_cast<ssize_t>(text.size()));
    }
    std::size_t drain() {
        char buffer[256];
        std::size_t total = 0;
        for (ssize_t n; (n = sys::recv(ours.get(), buffer, sizeof buffer, 0)) > 0;) {
            total += static_cast<std::size_t>(n);
        }
        return total;
    }
    Descriptor ours;
    Descriptor peer;
};

// Waits until the condition holds; false if it does not for so long that it never will.
template <class F>
bool becomes_true(F condition) {
    const SystemClock clock;
    const TimeNs give_up_ns = clock.now_ns() + 20 * kSecond;
    while (!condition()) {
        if (clock.now_ns() >= give_up_ns) return false;
        std::this_thread::yield();
    }
    return true;
}

class PollerTest : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        auto factory = make_poller_factory(GetParam());
        if (!factory && may_lack_io_uring()) GTEST_SKIP() << factory.error().message();
        ASSERT_TRUE(factory.has_value()) << factory.error().message();
        owned_ = (*factory)(0);
        poller_ = static_cast<Poller*>(owned_.get());
        ASSERT_STREQ(poller_->name(), GetParam());
    }

    // Polls until the condition holds; each poll may bring one step.
    template <class F>
    bool poll_until(F condition) {
        for (int i = 0; i < 100 && !condition(); ++i) poller_->poll(10 * kMillisecond);
        return condition();
    }
    void poll_out() {
        for (int i = 0; i < 3; ++i) poller_->poll(0);
    }

    std::unique_ptr<rt::Poller> owned_;
    Poller* poller_ = nullptr;
};

TEST_P(PollerTest, ReportsPresentReadinessAfterAdd) {
    Pair pair;
    pair.feed();
    Recorder watch(pair.ours.get());
    EXPECT_TRUE(poller_->idle());
    ASSERT_TRUE(poller_->add(watch, kReadable | kWritable).has_value());
    EXPECT_FALSE(poller_->idle());
    EXPECT_TRUE(watch.registered());
    EXPECT_TRUE(poll_until([&] { return watch.seen == (kReadable | kWritable); }));
    poller_->remove(watch);
    EXPECT_FALSE(watch.registered());
    EXPECT_TRUE(poller_->idle());
}

TEST_P(PollerTest, IsEdgeTriggered) {
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
    poll_out();
    EXPECT_EQ(watch.calls, 0);
    pair.feed();
    EXPECT_TRUE(poll_until([&] { return watch.calls == 1; }));
    poll_out();
    EXPECT_EQ(watch.calls, 1);  // not read, but reported once
    pair.feed();
    EXPECT_TRUE(poll_until([&] { return watch.calls == 2; }));
    EXPECT_EQ(pair.drain(), 2u);
    pair.feed();
    EXPECT_TRUE(poll_until([&] { return watch.calls == 3; }));
    poller_->remove(watch);
}

TEST_P(PollerTest, ReportsSpaceAgainAfterAFullBuffer) {
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kWritable).has_value());
    EXPECT_TRUE(poll_until([&] { return (watch.seen & kWritable) != 0; }));
    const std::string block(4096, 'x');
    while (sys::send(pair.ours.get(), block.data(), block.size(), 0) > 0) {
    }
    poll_out();
    watch.take();
    char buffer[4096];
    while (sys::recv(pair.peer.get(), buffer, sizeof buffer, 0) > 0) {
    }
    EXPECT_TRUE(poll_until([&] { return (watch.seen & kWritable) != 0; }));
    poller_->remove(watch);
}

TEST_P(PollerTest, ReportsHangup) {
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
    poll_out();
    pair.peer.reset();
    EXPECT_TRUE(poll_until([&] { return (watch.seen & kHangup) != 0; }));
    EXPECT_NE(watch.seen & kReadable, 0u);
    poller_->remove(watch);
}

TEST_P(PollerTest, SaysNothingAfterRemove) {
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
    poll_out();
    pair.feed();
    poller_->remove(watch);
    poll_out();
    EXPECT_EQ(watch.calls, 0);
}

// The kernel must not hold on to a descriptor that has been given up.
TEST_P(PollerTest, ClosingAfterRemoveReachesThePeer) {
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
    poll_out();
    poller_->remove(watch);
    pair.ours.reset();
    char byte;
    EXPECT_TRUE(poll_until([&] { return sys::recv(pair.peer.get(), &byte, 1, 0) == 0; }));
}

TEST_P(PollerTest, DropsStaleEventsOfTheSameTurn) {
    Pair first;
    Pair second;
    Recorder one(first.ours.get());
    Recorder two(second.ours.get());
    one.then = [&](Recorder&) { poller_->remove(two); };
    two.then = [&](Recorder&) { poller_->remove(one); };
    ASSERT_TRUE(poller_->add(one, kReadable).has_value());
    ASSERT_TRUE(poller_->add(two, kReadable).has_value());
    poll_out();
    first.feed();
    second.feed();
    EXPECT_TRUE(poll_until([&] { return one.calls + two.calls > 0; }));
    poll_out();
    EXPECT_EQ(one.calls + two.calls, 1);
    poller_->remove(one.registered() ? one : two);
}

TEST_P(PollerTest, ReusedDescriptorsAndSlotsDoNotInheritEvents) {
    for (int round = 0; round < 200; ++round) {
        Pair pair;
        Recorder old_watch(pair.ours.get());
        ASSERT_TRUE(poller_->add(old_watch, kReadable).has_value());
        if (round % 2 == 0) poller_->poll(0);
        pair.feed();
        poller_->remove(old_watch);
        const int number = pair.ours.get();
        pair.ours.reset();
        pair.peer.reset();
        Pair next;  // takes the same descriptor numbers
        ASSERT_EQ(next.ours.get(), number);
        Recorder watch(number);
        ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
        poll_out();
        ASSERT_EQ(watch.calls, 0);
        ASSERT_EQ(old_watch.calls, 0);
        next.feed();
        ASSERT_TRUE(poll_until([&] { return watch.calls == 1; }));
        poller_->remove(watch);
    }
}

TEST_P(PollerTest, CallbackMayRemoveAndDestroyItself) {
    Pair pair;
    auto* watch = new Recorder(pair.ours.get());
    bool gone = false;
    watch->then = [&](Recorder& self) {
        poller_->remove(self);
        gone = true;
        delete &self;
    };
    ASSERT_TRUE(poller_->add(*watch, kReadable).has_value());
    pair.feed();
    EXPECT_TRUE(poll_until([&] { return gone; }));
}

TEST_P(PollerTest, WakeEndsAWaitFromAnotherThread) {
    for (int i = 0; i < 50; ++i) {
        std::atomic<bool> said{false};
        std::thread other([&] {
            said.store(true);
            poller_->wake();
        });
        // Other wake-ups may be merged or come early; the one after `said` must end a wait.
        while (!said.load()) poller_->poll(kNever);
        other.join();
        poller_->poll(0);
    }
}

TEST_P(PollerTest, WakeBeforePollIsNotLost) {
    poller_->wake();
    poller_->wake();
    EXPECT_EQ(poller_->poll(kNever), 0u);
    EXPECT_EQ(poller_->poll(0), 0u);
    poller_->wake();
    EXPECT_EQ(poller_->poll(kNever), 0u);
}

TEST_P(PollerTest, TimeoutEndsAWait) {
    EXPECT_EQ(poller_->poll(kMillisecond), 0u);
}

TEST_P(PollerTest, OtherThreadsMayAddAndRemove) {
    Pair pair;
    Recorder watch(pair.ours.get());
    poller_->poll(0);
    std::thread([&] { EXPECT_TRUE(poller_->add(watch, kReadable).has_value()); }).join();
    pair.feed();
    EXPECT_TRUE(poll_until([&] { return watch.calls >= 1; }));
    std::thread([&] { poller_->remove(watch); }).join();
    const int calls = watch.calls;
    pair.feed();
    poll_out();
    EXPECT_EQ(watch.calls, calls);
}

// Threads add, feed, remove and destroy while the worker polls: under TSan and ASan this checks
// that remove() really ends the callback.
struct Inquirer final : Watch {
    explicit Inquirer(int fd) : Watch(fd, &Inquirer::on_ready) {}
    static void on_ready(Watch& watch, std::uint32_t) {
        auto& self = static_cast<Inquirer&>(watch);
        self.runs = true;
        while (!self.is_being_removed) std::this_thread::yield();
        for (int i = 0; i < 100; ++i) {
            self.knew_its_poller = self.knew_its_poller && self.poller() != nullptr;
            std::this_thread::yield();
        }
    }
    std::atomic<bool> runs{false};
    std::atomic<bool> is_being_removed{false};
    bool knew_its_poller = true;
};

TEST_P(PollerTest, ACallbackKnowsItsPollerWhileAnotherThreadRemoves) {
    Pair pair;
    pair.feed();
    Inquirer watch(pair.ours.get());
    ASSERT_TRUE(poller_->add(watch, kReadable).has_value());
    std::thread other([&] {
        while (!watch.runs) std::this_thread::yield();
        watch.is_being_removed = true;
        poller_->remove(watch);
    });
    EXPECT_TRUE(poll_until([&] { return watch.runs.load(); }));
    other.join();
    EXPECT_TRUE(watch.knew_its_poller);
    EXPECT_FALSE(watch.registered());
}

// The owner has left a turn and does not come back for a while. With io_uring its thread must fetch
// the completion, which a signal makes it do.
TEST_P(PollerTest, AnotherThreadServesForAStuckOwner) {
    Pair pair;
    Recorder watch(pair.ours.get());
    std::thread::id ran_on;
    watch.then = [&](Recorder& self) {
        ran_on = std::this_thread::get_id();
        poller_->remove(self);  // a callback may, wherever it runs
    };
    ASSERT_TRUE(poller_->add(watch, kReadable));
    poll_out();
    EXPECT_EQ(poller_->waiting(), rt::Poller::Waiting::kNothing);
    pair.feed();
    EXPECT_TRUE(becomes_true([&] {
        poller_->collect_on_signal();
        return poller_->waiting() == rt::Poller::Waiting::kForAny;
    }));
    unsigned events = 0;
    std::thread other([&] { events = poller_->poll_for_other(); });
    const std::thread::id other_id = other.get_id();
    other.join();
    EXPECT_EQ(events, 1U);
    EXPECT_EQ(watch.calls, 1);
    EXPECT_EQ(ran_on, other_id);
    EXPECT_FALSE(watch.registered());
}

TEST_P(PollerTest, StressOfRegistrations) {
    std::atomic<int> running{3};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 400; ++i) {
                Pair pair;
                auto watch = std::make_unique<Recorder>(pair.ours.get());
                EXPECT_TRUE(poller_->add(*watch, kReadable).has_value());
                pair.feed();
                if (i % 3 == 0) std::this_thread::yield();
                poller_->remove(*watch);
                watch->calls = 0;
            }
            running.fetch_sub(1);
            poller_->wake();
        });
    }
    while (running.load() > 0) poller_->poll(kNever);
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(poll_until([&] { return poller_->idle(); }));
}

// More events at once than a ring holds completions or a turn takes; twice, so that it also shows
// that each registration has survived the first time.
TEST_P(PollerTest, MoreEventsThanTheQueueHolds) {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
    const std::size_t wanted = limits::kUringCompletions + 1000;
    const std::size_t count = files.rlim_cur > wanted + 100 ? wanted : 500;
    std::vector<Descriptor> events;
    std::vector<std::unique_ptr<Recorder>> watches;
    for (std::size_t i = 0; i < count; ++i) {
        events.emplace_back(sys::eventfd(0, 0));
        ASSERT_TRUE(events.back().valid());
        watches.push_back(std::make_unique<Recorder>(events.back().get()));
        ASSERT_TRUE(poller_->add(*watches.back(), kReadable).has_value());
    }
    poll_out();
    for (int round = 1; round <= 2; ++round) {
        const std::uint64_t one = 1;
        for (auto& event : events) ASSERT_EQ(sys::write(event.get(), &one, sizeof one), 8);
        // A registration that had to be renewed may report more than once.
        EXPECT_TRUE(poll_until([&] {
            return std::all_of(watches.begin(), watches.end(),
                               [&](const auto& watch) { return watch->calls >= 1; });
        })) << "round "
            << round;
        for (int i = 0; i < 100; ++i) poller_->poll(0);
        for (auto& watch : watches) watch->calls = 0;
    }
    for (auto& watch : watches) poller_->remove(*watch);
    poll_out();
}

// A client that sends a burst when the last one has been answered: an event that the poller keeps
// to itself until another one comes stops it for good.
TEST_P(PollerTest, NoEventWaitsForTheNext) {
    constexpr int kRounds = 30'000;  // fewer on a loaded machine, where each takes time slices
    Pair pairs[4];
    std::vector<std::unique_ptr<Recorder>> watches;
    std::atomic<int> answered{0};
    for (Pair& pair : pairs) {
        watches.push_back(std::make_unique<Recorder>(pair.ours.get()));
        watches.back()->then = [&](Recorder&) {
            answered.fetch_add(static_cast<int>(pair.drain()));
        };
        ASSERT_TRUE(poller_->add(*watches.back(), kReadable).has_value());
    }
    std::atomic<bool> over{false};
    bool stalled = false;
    int sent = 0;
    std::thread client([&] {
        const TimeNs end_ns = SystemClock().now_ns() + 20 * kSecond;
        while (sent < kRounds * std::ssize(pairs) && !stalled && SystemClock().now_ns() < end_ns) {
            for (Pair& pair : pairs) pair.feed();
            sent += std::ssize(pairs);
            stalled = !becomes_true([&] { return answered.load() == sent; });
        }
        over.store(true);
        poller_->wake();
    });
    while (!over.load()) poller_->poll(kNever);
    client.join();
    EXPECT_FALSE(stalled);
    EXPECT_EQ(answered.load(), sent);
    for (auto& watch : watches) poller_->remove(*watch);
}

INSTANTIATE_TEST_SUITE_P(Pollers, PollerTest, testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PollerFactory, KnowsItsNames) {
    EXPECT_EQ(make_poller_factory("kqueue").error().code(), Code::kInvalidArgument);
    ASSERT_TRUE(make_poller_factory("auto").has_value());
}

// The point of the ring: registrations go with the wait, and an empty look costs no system call.
TEST(UringPoller, BatchesSystemCalls) {
    auto made = UringPoller::create();
    if (!made && may_lack_io_uring()) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(made.has_value()) << made.error().message();
    UringPoller& poller = **made;
    poller.poll(0);
    std::vector<Pair> pairs(50);
    std::vector<std::unique_ptr<Recorder>> watches;
    const std::uint64_t before = poller.system_calls();
    for (auto& pair : pairs) {
        watches.push_back(std::make_unique<Recorder>(pair.ours.get()));
        ASSERT_TRUE(poller.add(*watches.back(), kReadable).has_value());
    }
    EXPECT_EQ(poller.system_calls(), before);
    poller.poll(0);
    EXPECT_EQ(poller.system_calls(), before + 1);
    for (int i = 0; i < 10; ++i) poller.poll(0);
    EXPECT_EQ(poller.system_calls(), before + 1);
    for (auto& watch : watches) poller.remove(*watch);
    poller.poll(0);
    // The kernel yields 20 completions a call: one for each poll removed, one for each removal.
    EXPECT_LE(poller.system_calls(), before + 1 + 1 + 2 * 50 / 20);
}

// The kernel may leave the flag for deferred work set with no work left: see collect_deferred().
TEST(UringPoller, FlagWithoutWorkEndsTheTurn) {
    auto made = UringPoller::create();
    if (!made && may_lack_io_uring()) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(made.has_value()) << made.error().message();
    UringPoller& poller = **made;
    Pair pair;
    Recorder watch(pair.ours.get());
    ASSERT_TRUE(poller.add(watch, kReadable).has_value());
    poller.poll(0);
    std::atomic<bool> over{false};
    std::thread rescuer([&] {
        if (!becomes_true([&] { return over.load(); })) poller.wake();
    });
    const std::uint64_t before = poller.system_calls();
    UringPollerPeer::claim_deferred_work(poller);
    EXPECT_EQ(poller.poll(0), 0u);
    over.store(true);
    rescuer.join();
    EXPECT_LE(poller.system_calls(), before + 2);
    pair.feed();
    EXPECT_EQ(poller.poll(kNever), 1u);
    EXPECT_EQ(watch.calls, 1);
    poller.remove(watch);
    poller.poll(0);
}

}  // namespace
}  // namespace sluice::io
