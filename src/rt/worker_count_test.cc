// The number of workers over simulated loads: steps, noise, alternation, bounds.
#include "rt/worker_count.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace sluice::rt {
namespace {

constexpr TimeNs kWindowNs = limits::kMonitorTickNs;
constexpr WorkerCount::Bounds kBounds{.min = 1, .max = 8, .cpus = 2};

// Fibers that are always there, each blocked for `blocked` of the time that it takes on a free CPU,
// on so many workers: what a window of them looks like.
WorkerLoad busy(unsigned workers, double blocked, unsigned cpus = 2) {
    const double running = std::min<double>(cpus, workers * (1 - blocked));
    const double waiting = blocked < 1 ? running * blocked / (1 - blocked) : workers;
    return {.window_ns = kWindowNs,
            .cpu_ns = static_cast<TimeNs>(running * kWindowNs),
            .blocked_ns = static_cast<TimeNs>(waiting * kWindowNs),
            .queued = 50};
}

// As `busy`, with a load that needs only so many workers: nothing waits.
WorkerLoad light(double running) {
    return {.window_ns = kWindowNs, .cpu_ns = static_cast<TimeNs>(running * kWindowNs)};
}

// The number of changes of the count while the load that `of_count(count)` makes goes on.
template <class F>
int changes(WorkerCount& count, int windows, F&& of_count) {
    int changed = 0;
    for (int i = 0; i < windows; ++i) {
        const unsigned before = count.count();
        changed += count.sample(of_count(before)) != before ? 1 : 0;
    }
    return changed;
}

TEST(WorkerCount, BeginsAtTheCpusWithinTheBounds) {
    EXPECT_EQ(WorkerCount(kBounds).count(), 2U);
    EXPECT_EQ(WorkerCount({.min = 3, .max = 8, .cpus = 2}).count(), 3U);
    EXPECT_EQ(WorkerCount({.min = 1, .max = 4, .cpus = 64}).count(), 4U);
}

TEST(WorkerCount, ComputingNeedsNoMoreThanTheCpus) {
    WorkerCount count(kBounds);
    EXPECT_EQ(changes(count, 1'000, [](unsigned n) { return busy(n, 0); }), 0);
    EXPECT_EQ(count.count(), 2U);
}

TEST(WorkerCount, BlockedWorkersAreReplaced) {
    for (const auto& [blocked, wanted] : {std::pair{0.5, 4U}, {0.6, 5U}, {0.75, 8U}, {1.0, 8U}}) {
        WorkerCount count(kBounds);
        changes(count, 20, [&](unsigned n) { return busy(n, blocked); });
        EXPECT_EQ(count.count(), wanted) << blocked;
        // It lies in the list above. NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        EXPECT_EQ(changes(count, 1'000, [&](unsigned n) { return busy(n, blocked); }), 0);
    }
}

TEST(WorkerCount, UpWithinFiveWindowsAndDownAfterTheHold) {
    WorkerCount count(kBounds);
    changes(count, 100, [](unsigned n) { return busy(n, 0); });
    changes(count, 5, [](unsigned n) { return busy(n, 0.9); });
    EXPECT_EQ(count.count(), 8U);
    changes(count, 100, [](unsigned n) { return busy(n, 0.9); });
    changes(count, limits::kWorkerCountWindows - 1, [](unsigned n) { return busy(n, 0); });
    EXPECT_EQ(count.count(), 8U);
    changes(count, 30, [](unsigned n) { return busy(n, 0); });
    EXPECT_EQ(count.count(), 2U);
}

TEST(WorkerCount, LittleToDoNeedsFewWorkers) {
    WorkerCount count(kBounds);
    EXPECT_EQ(changes(count, 100, [](unsigned) { return light(0.1); }), 1);
    EXPECT_EQ(count.count(), 1U);
    changes(count, 10, [](unsigned n) { return busy(n, 0); });
    EXPECT_EQ(count.count(), 2U);
}

TEST(WorkerCount, BoundsHold) {
    WorkerCount few({.min = 2, .max = 3, .cpus = 2});
    changes(few, 100, [](unsigned) { return light(0); });
    EXPECT_EQ(few.count(), 2U);
    changes(few, 100, [](unsigned n) { return busy(n, 1); });
    EXPECT_EQ(few.count(), 3U);
}

// One window of something else: a flush, a page fault, a sleep of the monitor.
TEST(WorkerCount, SpikeDoesNothing) {
    WorkerCount count(kBounds);
    changes(count, 100, [](unsigned n) { return busy(n, 0); });
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(changes(count, 1,
                          [](unsigned) {
                              return WorkerLoad{.window_ns = kWindowNs,
                                                .cpu_ns = kWindowNs * 3 / 2,
                                                .blocked_ns = kWindowNs / 2,
                                                .queued = 50};
                          }),
                  0);
        EXPECT_EQ(changes(count, 20, [](unsigned n) { return busy(n, 0); }), 0);
    }
}

// The monitor sleeps while all workers do. Its next window holds all that time, and counts as one.
TEST(WorkerCount, ALongSleepDoesNotHoldItDown) {
    WorkerCount count(kBounds);
    changes(count, 100, [](unsigned) { return light(0.1); });
    EXPECT_EQ(count.count(), 1U);
    EXPECT_EQ(count.sample({.window_ns = 3600 * kSecond, .cpu_ns = kMillisecond}), 1U);
    changes(count, 5, [](unsigned n) { return busy(n, 0.9); });
    EXPECT_EQ(count.count(), 8U);
}

// Phases shorter than the hold: it stays with what the larger one needs.
TEST(WorkerCount, AlternationDoesNotOscillate) {
    WorkerCount count(kBounds);
    const auto alternate = [&](int rounds) {
        int changed = 0;
        for (int i = 0; i < rounds; ++i) {
            changed += changes(count, 5, [](unsigned n) { return busy(n, 0.9); });
            changed += changes(count, 5, [](unsigned n) { return busy(n, 0); });
        }
        return changed;
    };
    alternate(2);
    EXPECT_EQ(alternate(100), 0);
    EXPECT_EQ(count.count(), 8U);
}

// Measured time is torn: what a window lacks, the next one has too much. 30% either way.
TEST(WorkerCount, NoiseMovesItRarely) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<double> factor(0.7, 1.3);
        WorkerCount count(kBounds);
        std::set<unsigned> seen;
        const auto noisy = [&](unsigned n) {
            WorkerLoad load = busy(n, 0.5);
            load.blocked_ns =
                static_cast<TimeNs>(static_cast<double>(load.blocked_ns) * factor(random));
            load.cpu_ns = static_cast<TimeNs>(static_cast<double>(load.cpu_ns) * factor(random));
            seen.insert(n);
            return load;
        };
        changes(count, 50, noisy);
        seen.clear();
        EXPECT_LE(changes(count, 1'000, noisy), 1'000 / 50) << "seed " << seed;
        EXPECT_GE(*seen.begin(), 3U) << "seed " << seed;
        EXPECT_LE(*seen.rbegin(), 6U) << "seed " << seed;
    }
}

// A wait for a CPU that straddles two windows first looks like a block, then like less than none.
TEST(WorkerCount, WhatIsPutOffToTheNextWindowCancels) {
    WorkerCount count(kBounds);
    int sign = 1;
    changes(count, 1'000, [&](unsigned n) {
        WorkerLoad load = busy(n, 0);
        load.blocked_ns = sign * kWindowNs / 5;
        sign = -sign;
        return load;
    });
    EXPECT_EQ(count.count(), 2U);
}

}  // namespace
}  // namespace sluice::rt
