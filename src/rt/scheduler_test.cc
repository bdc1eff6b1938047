// What the scheduler does with its workers: who is woken, who sleeps, when it is a deadlock.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "rt/baton_testing.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

// A request-response pattern must not spread over workers: a wake-up costs more than the work.
TEST(Scheduler, PingPongWakesNobody) {
    Runtime runtime({.workers = 2});
    std::uint64_t wakes = 1;
    runtime.run([&] {
        Baton asked;
        Baton answered;
        spawn([&] {
            for (int i = 0; i < 10'000; ++i) {
                asked.wait();
                answered.post();
            }
        });
        const std::uint64_t wakes_before = runtime.stats().wakes;
        for (int i = 0; i < 10'000; ++i) {
            asked.post();
            answered.wait();
        }
        wakes = runtime.stats().wakes - wakes_before;
    });
    EXPECT_EQ(wakes, 0U);
}

TEST(Scheduler, SpawnAndJoinWakesNobody) {
    Runtime runtime({.workers = 2});
    std::uint64_t wakes = 1;
    runtime.run([&] {
        const std::uint64_t wakes_before = runtime.stats().wakes;
        Baton done;
        for (int i = 0; i < 1'000; ++i) {
            spawn([&] { done.post(); });
            done.wait();
        }
        wakes = runtime.stats().wakes - wakes_before;
    });
    EXPECT_EQ(wakes, 0U);
}

// Fibers that wait behind a busy one are taken by other workers.
TEST(Scheduler, WaitingWorkIsShared) {
    Runtime runtime({.workers = 2});
    std::atomic<int> elsewhere = 0;
    runtime.run([&] {
        const std::thread::id here = std::this_thread::get_id();
        for (int i = 0; i < 8; ++i) {
            spawn([&, here] {
                if (std::this_thread::get_id() != here) ++elsewhere;
            });
        }
        while (elsewhere == 0) {  // never suspends: only another worker can run them
        }
    });
    EXPECT_GT(elsewhere, 0);
    EXPECT_GT(runtime.stats().fibers_stolen, 0U);
}

TEST(Scheduler, SleepingRuntimeDoesNotPollAround) {
    Runtime runtime({.workers = 4});
    std::uint64_t polls = 0;
    runtime.run([&] {
        sleep_for(20 * kMillisecond);  // lets the other workers settle
        const std::uint64_t polls_before = runtime.stats().polls;
        sleep_for(200 * kMillisecond);
        polls = runtime.stats().polls - polls_before;
    });
    // One sleep of this worker; the others may wake once for a timer that they guard.
    EXPECT_LE(polls, 12U);
}

// A worker that is stuck in a long slice has its timers run by an idle one.
TEST(Scheduler, TimersOfAStuckWorkerAreRescued) {
    struct Flag : Timer {
        std::atomic<bool> fired = false;
    };
    Runtime runtime({.workers = 2});
    runtime.run([&] {
        Flag flag;
        flag.arm(runtime.clock().now_ns() + kMillisecond,
                 [](Timer& timer) { static_cast<Flag&>(timer).fired = true; });
        // The other worker must look at our timers when it next falls asleep: give it a reason to.
        spawn_on(runtime, 1, [] {});
        while (!flag.fired) {
        }
        flag.wait_idle();
    });
    EXPECT_GE(runtime.stats().timers_fired_for_others, 1U);
}

TEST(Scheduler, DeadlockIsReportedWithADump) {
    std::string dump;
    Fiber* stuck = nullptr;
    int reports = 0;
    Options options;
    options.workers = 2;
    options.on_deadlock = [&](const std::string& text) {
        ++reports;
        dump = text;
        ready(stuck);
    };
    Runtime runtime(std::move(options));
    runtime.run([&] {
        park(WaitReason::kMutex, [&](Fiber* fiber) {
            stuck = fiber;
            return true;
        });
    });
    EXPECT_EQ(reports, 1);
    EXPECT_NE(dump.find("deadlock"), std::string::npos);
    EXPECT_NE(dump.find("\"main\" waiting: mutex"), std::string::npos) << dump;
}

TEST(SchedulerDeathTest, DeadlockAborts) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            Runtime runtime({.workers = 2});
            runtime.run([] {
                Baton never;
                never.wait();
            });
        },
        "deadlock: every fiber waits.*\n.*\"main\" waiting: channel");
}

TEST(Scheduler, WaitsForOutsidersAreNoDeadlock) {
    int reports = 0;
    Options options;
    options.workers = 2;
    options.on_deadlock = [&](const std::string&) { ++reports; };
    Runtime runtime(std::move(options));
    std::thread outside;
    runtime.run([&] {
        Baton proposed;
        const auto polls_settle = [&] {
            while (runtime.stats().parks < 2) std::this_thread::yield();
        };
        outside = std::thread([&] {
            polls_settle();
            proposed.post();
        });
        proposed.wait(WaitReason::kProposal);
        outside.join();

        Baton channel;
        ForeignThread hold(runtime);
        const std::uint64_t parks = runtime.stats().parks;
        outside = std::thread([&, parks] {
            while (runtime.stats().parks == parks) std::this_thread::yield();
            channel.post();
        });
        channel.wait(WaitReason::kChannel);
        outside.join();
    });
    EXPECT_EQ(reports, 0);
}

TEST(SchedulerDeathTest, ReadyTwiceIsCaught) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            Runtime runtime({.workers = 1});
            runtime.run([] {
                Fiber* parked = nullptr;
                spawn([&] {
                    park(WaitReason::kOther, [&](Fiber* fiber) {
                        parked = fiber;
                        return true;
                    });
                });
                yield();
                ready(parked);
                ready(parked);
            });
        },
        "check failed: was == FiberState::kWaiting");
}

}  // namespace
}  // namespace sluice::rt
