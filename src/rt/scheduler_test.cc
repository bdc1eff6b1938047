// What the scheduler does with its workers: who is woken, who sleeps, when it is a deadlock.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "rt/baton_testing.h"
#include "rt/null_poller.h"
#include "rt/poller.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

// A request-response pattern must not spread over workers: a wake-up costs more than the work.
TEST(Scheduler, PingPongWakesNobody) {
    Runtime runtime({.workers = 2, .monitor = false});
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

// Two fibers that answer each other for ever leave room for a third, which start() begins, after at
// most so many answers.
void expect_ping_pong_lets_in(void (*start)(Runtime& runtime, bool& ran), int answers_most) {
    constexpr int kRounds = 100'000;
    Runtime runtime({.workers = 1});
    int answers = 0;
    bool ran = false;
    bool over = false;
    Baton asked;
    Baton answered;
    runtime.run([&] {
        spawn([&] {
            while (true) {
                asked.wait();
                if (over) return;
                ++answers;
                answered.post();
            }
        });
        yield();
        start(runtime, ran);
        while (!ran && answers < kRounds) {
            asked.post();
            answered.wait();
        }
        over = true;
        asked.post();
    });
    EXPECT_TRUE(ran);
    EXPECT_LE(answers, answers_most);
}

TEST(Scheduler, PingPongLetsArrivalsIn) {
    expect_ping_pong_lets_in(
        [](Runtime& runtime, bool& ran) { spawn_on(runtime, 0, [&ran] { ran = true; }); }, 999);
}

TEST(Scheduler, PingPongLetsTheQueueRun) {
    expect_ping_pong_lets_in([](Runtime&, bool& ran) { spawn([&ran] { ran = true; }); },
                             static_cast<int>(limits::kRunNextMax));
}

// Fibers that always find others in their own queue come to the global one all the same.
TEST(Scheduler, GlobalQueueIsLookedAt) {
    Runtime runtime({.workers = 1});
    std::atomic<bool> posted = false;
    bool ran = false;
    std::uint64_t switches = 0;
    std::thread outside;
    runtime.run([&] {
        Baton go;
        spawn([&] {
            go.wait(WaitReason::kOther);
            ran = true;
        });
        spawn([&] {
            while (!ran) yield();
        });
        yield();
        outside = std::thread([&] {
            go.post();
            posted = true;
        });
        while (!posted) yield();
        const std::uint64_t before = runtime.stats().switches;
        while (!ran) yield();
        switches = runtime.stats().switches - before;
    });
    outside.join();
    EXPECT_TRUE(ran);
    EXPECT_LE(switches, limits::kGlobalQueueInterval + 3);
}

TEST(Scheduler, SpawnAndJoinWakesNobody) {
    Runtime runtime({.workers = 2, .monitor = false});
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

// A worker of one runtime is no worker of the other: what it makes ready there must be announced.
TEST(Scheduler, AnotherRuntimesWorkerWakesTheOnlyOne) {
    constexpr int kRounds = 100;
    Runtime one({.workers = 1, .monitor = false});
    Runtime other({.workers = 1, .monitor = false});
    Baton asked;
    Baton answered;
    std::thread second([&] {
        other.run([&] {
            for (int i = 0; i < kRounds; ++i) {
                asked.wait(WaitReason::kOther);
                answered.post();
            }
        });
    });
    one.run([&] {
        for (int i = 0; i < kRounds; ++i) {
            asked.post();
            answered.wait(WaitReason::kOther);
        }
    });
    second.join();
    EXPECT_EQ(one.stats().fibers_ended, 1U);
    EXPECT_EQ(other.stats().fibers_ended, 1U);
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
    Runtime runtime({.workers = 4, .monitor = false});
    constexpr std::uint64_t kPollsMost = 12;
    std::uint64_t polls = kPollsMost + 1;
    runtime.run([&] {
        // On a loaded machine the other workers need a while until they have settled.
        for (int i = 0; i < 50 && polls > kPollsMost; ++i) {
            sleep_for(20 * kMillisecond);
            const std::uint64_t polls_before = runtime.stats().polls;
            sleep_for(200 * kMillisecond);
            polls = runtime.stats().polls - polls_before;
        }
    });
    // One sleep of this worker; the others may wake once for a timer that they guard.
    EXPECT_LE(polls, kPollsMost);
}

// Resumes two fibers at once, as a poller does with two sockets.
class PairPoller final : public Poller {
  public:
    unsigned poll(TimeNs timeout_ns) override {
        thread_.store(std::this_thread::get_id());
        if (timeout_ns == 0 || parked_[0] == nullptr || parked_[1] == nullptr) {
            return waiting_.poll(timeout_ns);
        }
        for (auto& fiber : parked_) ready(fiber.exchange(nullptr));
        return 2;
    }
    void wake() noexcept override {
        if (std::this_thread::get_id() == thread_.load()) ++own_wakes_;
        waiting_.wake();
    }
    bool idle() const override { return false; }

    void wait(int index) {
        park(WaitReason::kIo, [this, index](Fiber* fiber) {
            parked_[index].store(fiber);
            waiting_.wake();
            return true;
        });
    }
    int own_wakes() const { return own_wakes_.load(); }

  private:
    NullPoller waiting_;
    std::atomic<Fiber*> parked_[2] = {};
    std::atomic<std::thread::id> thread_;
    std::atomic<int> own_wakes_ = 0;
};

// Events that end a worker's sleep may wake another, but not the one that is awake with them.
TEST(Scheduler, NoWorkerWakesItself) {
    auto owned = std::make_unique<PairPoller>();
    PairPoller& poller = *owned;
    Options options;
    options.workers = 2;
    options.monitor = false;
    options.make_poller = [&](unsigned worker) -> std::unique_ptr<Poller> {
        if (worker == 0) return std::move(owned);
        return std::make_unique<NullPoller>();
    };
    int own_wakes = -1;
    Runtime runtime(std::move(options));
    runtime.run([&] {
        Baton done;
        for (int index = 0; index < 2; ++index) {
            spawn([&, index] {
                for (int i = 0; i < 1'000; ++i) poller.wait(index);
                done.post();
            });
        }
        done.wait();
        done.wait();
        own_wakes = poller.own_wakes();
    });
    EXPECT_EQ(own_wakes, 0);
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

void wait_for_nothing() {
    Runtime runtime({.workers = 2});
    runtime.run([] {
        Baton never;
        never.wait();
    });
}

TEST(SchedulerDeathTest, DeadlockAborts) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(wait_for_nothing(), "deadlock: every fiber waits.*\n.*\"main\" waiting: channel");
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

void make_ready_twice() {
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
}

TEST(SchedulerDeathTest, ReadyTwiceIsCaught) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(make_ready_twice(), "check failed: was == FiberState::kWaiting");
}

}  // namespace
}  // namespace sluice::rt
