// Storms over several workers: nothing lost, nothing twice. Their real judge is the TSan preset.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "rt/baton_testing.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

void tree(int depth, std::atomic<int>& leaves) {
    if (depth == 0) {
        ++leaves;
        return;
    }
    for (int child = 0; child < 2; ++child) {
        spawn([depth, &leaves] { tree(depth - 1, leaves); });
    }
}

TEST(Stress, TreesOfSpawns) {
    Runtime runtime({.workers = 4});
    for (int round = 0; round < 5; ++round) {
        std::atomic<int> leaves = 0;
        runtime.run([&] { tree(12, leaves); });
        EXPECT_EQ(leaves, 1 << 12);
    }
    const Stats stats = runtime.stats();
    EXPECT_EQ(stats.fibers_started, stats.fibers_ended);
    EXPECT_EQ(stats.fibers_started, 5U * ((1 << 13) - 1));
}

TEST(Stress, MoreFibersThanTheLocalQueueHolds) {
    for (const unsigned workers : {1U, 2U}) {
        Runtime runtime({.workers = workers});
        std::atomic<int> ended = 0;
        runtime.run([&] {
            for (int i = 0; i < 20'000; ++i) spawn([&ended] { ++ended; });
        });
        EXPECT_EQ(ended, 20'000);
        // A second worker may steal as fast as the first one spawns.
        if (workers == 1) EXPECT_GT(runtime.stats().overflows, 0U);
    }
}

TEST(Stress, PairsAnswerEachOther) {
    constexpr int kPairs = 50;
    constexpr int kRounds = 500;
    Runtime runtime({.workers = 4});
    std::vector<Baton> asked(kPairs);
    std::vector<Baton> answered(kPairs);
    std::vector<int> counts(kPairs, 0);  // each written by its pair in turn, under no lock
    runtime.run([&] {
        for (int pair = 0; pair < kPairs; ++pair) {
            spawn([&, pair] {
                for (int i = 0; i < kRounds; ++i) {
                    ++counts[pair];
                    asked[pair].post();
                    answered[pair].wait();
                }
            });
            spawn([&, pair] {
                for (int i = 0; i < kRounds; ++i) {
                    asked[pair].wait();
                    ++counts[pair];
                    answered[pair].post();
                }
            });
        }
    });
    for (int pair = 0; pair < kPairs; ++pair) EXPECT_EQ(counts[pair], 2 * kRounds);
}

TEST(Stress, ForeignThreadsMakeReady) {
    constexpr int kThreads = 3;
    constexpr int kPosts = 3'000;
    Runtime runtime({.workers = 2});
    std::vector<Baton> batons(kThreads);
    std::atomic<int> received = 0;
    runtime.run([&] {
        auto hold = std::make_shared<ForeignThread>(runtime);
        for (int i = 0; i < kThreads; ++i) {
            spawn([&, i, hold] {
                std::thread thread([&, i] {
                    for (int post = 0; post < kPosts; ++post) {
                        batons[i].post();
                        if (post % 16 == 0) std::this_thread::yield();
                    }
                });
                for (int post = 0; post < kPosts; ++post) {
                    batons[i].wait();
                    ++received;
                }
                thread.join();
            });
        }
    });
    EXPECT_EQ(received, kThreads * kPosts);
}

TEST(Stress, ForeignThreadReadiesManyAtOnce) {
    constexpr int kFibers = 1'000;
    constexpr int kRounds = 10;
    Runtime runtime({.workers = 2});
    SpinLock lock;
    FiberList waiting;
    std::atomic<int> resumed = 0;
    std::thread committer;
    runtime.run([&] {
        for (int i = 0; i < kFibers; ++i) {
            spawn([&]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                for (int round = 0; round < kRounds; ++round) {
                    lock.lock();
                    park(WaitReason::kProposal, [&](Fiber* fiber) SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                        waiting.push_back(fiber);
                        lock.unlock();
                        return true;
                    });
                    ++resumed;
                }
            });
        }
        committer = std::thread([&] {
            while (resumed < kFibers * kRounds) {
                FiberList batch;
                {
                    const SpinGuard guard(lock);
                    // It is empty again then, not just moved from.
                    batch.append(std::move(waiting));  // NOLINT(bugprone-use-after-move)
                }
                ready_all(std::move(batch));
                std::this_thread::yield();
            }
        });
    });
    committer.join();
    EXPECT_EQ(resumed, kFibers * kRounds);
}

TEST(Stress, SleepersAndBlockers) {
    constexpr int kFibers = 300;
    Runtime runtime({.workers = 3, .blocking_threads_max = 5});
    std::atomic<int> sum = 0;
    runtime.run([&] {
        for (int i = 0; i < kFibers; ++i) {
            spawn([&sum, i] {
                for (int round = 0; round < 4; ++round) {
                    sleep_for((i * 37 + round * 11) % 900 * kMicrosecond);
                    sum += blocking([i] { return i; });
                    yield();
                }
            });
        }
    });
    EXPECT_EQ(sum, 4 * (kFibers * (kFibers - 1) / 2));
    EXPECT_EQ(runtime.blocking_pool().stats().jobs, 4U * kFibers);
    EXPECT_LE(runtime.blocking_pool().stats().threads_most, 5U);
}

// A timer fires on one worker while its owner cancels it on another: exactly one of them wins.
TEST(Stress, CancelRacesWithFire) {
    struct Contest : Timer {
        std::atomic<int> fired = 0;
    };
    constexpr int kFibers = 16;
    constexpr int kRounds = 200;
    Runtime runtime({.workers = 4});
    std::atomic<int> decided = 0;
    runtime.run([&] {
        for (int i = 0; i < kFibers; ++i) {
            spawn([&, i] {
                for (int round = 0; round < kRounds; ++round) {
                    Contest contest;
                    const TimeNs now_ns = runtime.clock().now_ns();
                    contest.arm(now_ns + (i * 7 + round) % 40 * kMicrosecond,
                                [](Timer& timer) { ++static_cast<Contest&>(timer).fired; });
                    sleep_for((i * 5 + round) % 40 * kMicrosecond);
                    const bool cancelled = contest.cancel();
                    contest.wait_idle();
                    if (contest.fired + (cancelled ? 1 : 0) == 1) ++decided;
                }
            });
        }
    });
    EXPECT_EQ(decided, kFibers * kRounds);
}

// Workers fall asleep and are woken all the time; a lost wake-up would hang this test.
TEST(Stress, SleepAndWakeWithoutLoss) {
    constexpr int kRounds = 2'000;
    Runtime runtime({.workers = 4});
    std::atomic<int> ended = 0;
    runtime.run([&] {
        Baton done;
        for (int round = 0; round < kRounds; ++round) {
            const int fan_out = 1 + round % 5;
            for (int i = 0; i < fan_out; ++i) {
                spawn([&] {
                    ++ended;
                    done.post();
                });
            }
            for (int i = 0; i < fan_out; ++i) done.wait();
        }
    });
    EXPECT_EQ(ended, kRounds * 3);
}

TEST(Stress, SpawnOnFromForeignThreads) {
    constexpr int kThreads = 3;
    constexpr int kFibers = 1'000;
    Runtime runtime({.workers = 3});
    std::atomic<int> ended = 0;
    runtime.run([&] {
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&, i] {
                for (int n = 0; n < kFibers; ++n) {
                    spawn_on(runtime, static_cast<unsigned>(i + n) % 3, [&ended] { ++ended; });
                }
            });
        }
        while (ended < kThreads * kFibers) yield();
        for (std::thread& thread : threads) thread.join();
    });
    EXPECT_EQ(ended, kThreads * kFibers);
}

}  // namespace
}  // namespace sluice::rt
