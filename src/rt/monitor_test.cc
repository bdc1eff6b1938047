// The monitor: who is asked to yield, what is reported, who takes over a stuck worker's work, and
// that an idle process is left alone.
#include "rt/monitor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rt/baton_testing.h"
#include "rt/runtime.h"
#include "rt/scheduler.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

// Only for giving up: no test asserts a time.
constexpr TimeNs kGiveUpNs = 30 * kSecond;

// Computes, without a checkpoint, until `done` or for too long.
template <class F>
[[gnu::noinline]] bool compute_until(F&& done) {
    const SystemClock clock;
    const TimeNs end_ns = clock.now_ns() + kGiveUpNs;
    while (!done()) {
        if (clock.now_ns() > end_ns) return false;
    }
    return true;
}

// The same without a call: in libraries that have no frame pointers a walk begins badly.
[[gnu::noinline]] void spin_until_above(const std::atomic<std::size_t>& count, std::size_t value) {
    constexpr std::uint64_t kRoundsMax = 1ull << 20;
    for (std::uint64_t round = 0; round < kRoundsMax && count.load() <= value; ++round) {
        for (int i = 0; i < 100'000; ++i) asm volatile("");
    }
}

void compute_for(TimeNs duration_ns) {
    const SystemClock clock;
    const TimeNs end_ns = clock.now_ns() + duration_ns;
    while (clock.now_ns() < end_ns) {
    }
}

Options quiet(unsigned workers) {
    Options options;
    options.workers = workers;
    options.on_stall = [](const StallReport&) {};
    return options;
}

TEST(Monitor, StandsStillWhenAllSleep) {
    Runtime runtime(quiet(2));
    bool stood = false;
    bool ticks_again = false;
    std::thread outside;
    runtime.run([&] {
        const auto ticks = [&] { return runtime.stats().monitor_ticks; };
        Baton over;
        outside = std::thread([&] {
            // A monitor that went on would tick some fifty times in one of these sleeps.
            for (int i = 0; i < 50 && !stood; ++i) {
                const std::uint64_t before = ticks();
                std::this_thread::sleep_for(std::chrono::milliseconds(500));
                stood = ticks() == before && before > 0;
            }
            over.post();
        });
        over.wait(WaitReason::kOther);
        const std::uint64_t awake = ticks();
        ticks_again = compute_until([&] { return ticks() > awake + 1; });
    });
    outside.join();
    EXPECT_TRUE(stood);
    EXPECT_TRUE(ticks_again);
}

TEST(Monitor, NeverRunsWhereItIsNotWanted) {
    Options options = quiet(1);
    options.monitor = false;
    Runtime runtime(std::move(options));
    runtime.run([] { compute_for(30 * kMillisecond); });
    EXPECT_EQ(runtime.stats().monitor_ticks, 0U);
}

// The budget of calls alone would let the fiber pass 128 checkpoints.
TEST(Monitor, LongSliceYieldsAtItsNextCheckpoint) {
    static_assert(limits::kMonitorTickNs >= limits::kSliceNs);
    Runtime runtime(quiet(1));
    bool other_ran = false;
    runtime.run([&] {
        spawn([&] { other_ran = true; });
        // The first tick sees the slice, the second one that it lasts, the third begins after that.
        const std::uint64_t before = runtime.stats().monitor_ticks;
        compute_until([&] { return runtime.stats().monitor_ticks >= before + 3; });
        checkpoint();
        EXPECT_TRUE(other_ran);
    });
    EXPECT_GE(runtime.stats().yields_forced, 1U);
}

// Gathers reports; for the fiber that waits for them.
struct Reports {
    std::function<void(const StallReport&)> taker() {
        return [this](const StallReport& report) {
            const std::lock_guard lock(mutex);
            all.push_back(report);
            count.store(all.size());
        };
    }
    std::mutex mutex;
    std::vector<StallReport> all;
    std::atomic<std::size_t> count = 0;
};

TEST(Monitor, ReportNamesFiberAndFunction) {
    Reports reports;
    Options options = quiet(1);
    options.on_stall = reports.taker();
    Runtime runtime(std::move(options));
    std::uint64_t id = 0;
    // A sanitizer holds signals back: its own function may be what is found, or none. Once more.
    constexpr std::size_t kTries = 10;
    static_assert(kTries < limits::kStallReportsPerMinute);
    runtime.run([&] {
        spawn(
            [&] {
                id = current()->id();
                for (std::size_t i = 0; i < kTries; ++i) {
                    spin_until_above(reports.count, i);
                    if (reports.all.size() <= i) return;
                    if (reports.all[i].stack.find("spin_until_above") != std::string::npos) return;
                    yield();
                }
            },
            "hog");
    });
    ASSERT_FALSE(reports.all.empty());
    const StallReport& report = reports.all.back();
    EXPECT_EQ(report.name, "hog");
    EXPECT_EQ(report.fiber, id);
    EXPECT_EQ(report.worker, 0U);
    EXPECT_GE(report.lasted_ns, limits::kStallNs);
    EXPECT_LE(report.watched_ns, report.lasted_ns);
    EXPECT_GE(report.cpu_ns, 0);  // others may have had the CPU all the while
    EXPECT_LE(report.cpu_ns, 2 * report.lasted_ns);
    EXPECT_NE(report.stack.find("spin_until_above"), std::string::npos) << report.stack;
}

TEST(Monitor, ReportsAreLimitedAndTheRestIsCounted) {
    constexpr unsigned kStalls = limits::kStallReportsPerMinute + 2;
    Reports reports;
    Options options = quiet(1);
    options.on_stall = reports.taker();
    Runtime runtime(std::move(options));
    runtime.run([&] {
        for (unsigned i = 0; i < kStalls; ++i) {
            compute_until(
                [&] { return reports.count.load() + runtime.stats().stalls_suppressed > i; });
            yield();
        }
    });
    // On a loaded machine the end of run() may stall, too.
    const Stats stats = runtime.stats();
    EXPECT_EQ(reports.all.size(), limits::kStallReportsPerMinute);
    EXPECT_GE(stats.stalls, kStalls);
    EXPECT_EQ(stats.stalls_suppressed, stats.stalls - limits::kStallReportsPerMinute);
}

// A single fiber that is made ready wakes nobody; here its waker goes on for long.
TEST(Monitor, RunNextOfAStuckWorkerIsTaken) {
    Runtime runtime(quiet(2));
    bool served = false;
    runtime.run([&] {
        Baton go;
        std::atomic<bool> ran = false;
        spawn([&] {
            go.wait();
            ran = true;
        });
        sleep_for(20 * kMillisecond);  // the other worker has nothing to do and falls asleep
        go.post();
        served = compute_until([&] { return ran.load(); });
    });
    EXPECT_TRUE(served);
}

TEST(Monitor, TimersOfAStuckWorkerAreRun) {
    struct Flag : Timer {
        std::atomic<bool> fired = false;
    };
    Runtime runtime(quiet(2));
    bool served = false;
    runtime.run([&] {
        Flag flag;
        sleep_for(20 * kMillisecond);
        flag.arm(runtime.clock().now_ns() + 5 * kMillisecond,
                 [](Timer& timer) { static_cast<Flag&>(timer).fired = true; });
        served = compute_until([&] { return flag.fired.load(); });
        flag.wait_idle();
    });
    EXPECT_TRUE(served);
}

// The one of two workers that the caller is not on.
unsigned other_worker(const Runtime& runtime) {
    return 1 - runtime.worker_index();
}

// Both workers compute until somebody has run the fibers that wait: only a spare one can.
TEST(Monitor, SpareWorkerRunsWhatWaitsWhenAllAreStuck) {
    std::atomic<unsigned> spares = 0;
    Options options = quiet(2);
    options.spare_workers_max = limits::kSpareWorkersMax;
    options.on_spare = [&](unsigned count) { spares = count; };
    Runtime runtime(std::move(options));
    for (unsigned run = 1; run <= 2; ++run) {  // the second one uses the same Worker
        constexpr int kWaiting = 10;
        std::atomic<int> ran = 0;
        std::atomic<int> computing = 0;
        std::atomic<int> served = 0;
        std::atomic<unsigned> seen_index = 0;
        runtime.run([&] {
            const auto compute = [&] {
                ++computing;
                if (compute_until([&] { return ran == kWaiting; })) ++served;
            };
            spawn_on(runtime, other_worker(runtime), compute);
            if (!compute_until([&] { return computing == 1; })) return;
            for (int i = 0; i < kWaiting; ++i) {
                spawn([&] {
                    seen_index = runtime.worker_index();
                    ++ran;
                });
            }
            compute();
        });
        EXPECT_EQ(served, 2);
        EXPECT_GE(seen_index, runtime.workers());
        EXPECT_GE(spares, 1U);  // more, if the first one does not get a CPU for long
        EXPECT_LE(spares, limits::kSpareWorkersMax);
        spares = 0;
    }
}

// It is not wanted any more when the others are back, but what waits on it comes.
TEST(Monitor, SpareWorkerServesItsTimersAndIsDismissed) {
    Options options = quiet(2);
    options.spare_workers_max = limits::kSpareWorkersMax;
    options.on_spare = [](unsigned) {};
    Runtime runtime(std::move(options));
    int slept = 0;
    bool dismissed = false;
    runtime.run([&] {
        std::atomic<bool> armed = false;
        Baton done;
        std::atomic<int> computing = 0;
        const auto compute = [&] {
            ++computing;
            compute_until([&] { return armed.load(); });
        };
        spawn_on(runtime, other_worker(runtime), compute);
        compute_until([&] { return computing == 1; });
        spawn([&] {
            struct Ring : Timer {
                Baton rung;
            };
            Ring ring;
            ring.arm(runtime.clock().now_ns() + 50 * kMillisecond,
                     [](Timer& timer) { static_cast<Ring&>(timer).rung.post(); });
            armed = true;
            ring.rung.wait(WaitReason::kTimer);
            ++slept;
            done.post();
        });
        compute();
        done.wait();
        for (int i = 0; i < 1'000 && runtime.scheduler().spares_wanted(); ++i) {
            sleep_for(10 * kMillisecond);
        }
        dismissed = !runtime.scheduler().spares_wanted();
    });
    EXPECT_EQ(slept, 1);
    EXPECT_TRUE(dismissed);
}

TEST(Monitor, OneWorkerStaysAlone) {
    Runtime runtime(quiet(1));
    bool overlapped = false;
    bool computing = false;
    runtime.run([&] {
        spawn([&] { overlapped = computing; });
        computing = true;
        compute_for(100 * kMillisecond);
        computing = false;
    });
    EXPECT_FALSE(overlapped);
    EXPECT_EQ(runtime.stats().spare_workers, 0U);
}

}  // namespace
}  // namespace sluice::rt
