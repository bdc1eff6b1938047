#include "rt/runtime.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rt/park.h"

namespace sluice::rt {
namespace {

TEST(Runtime, RunsMainAndReturns) {
    Runtime runtime({.workers = 1});
    int runs = 0;
    runtime.run([&] {
        ++runs;
        EXPECT_NE(current(), nullptr);
        EXPECT_STREQ(current()->name(), "main");
        EXPECT_EQ(&Runtime::current(), &runtime);
    });
    EXPECT_EQ(runs, 1);
    EXPECT_EQ(current(), nullptr);
    EXPECT_EQ(runtime.stats().fibers_started, 1U);
    EXPECT_EQ(runtime.stats().fibers_ended, 1U);
}

TEST(Runtime, RunsAgain) {
    Runtime runtime({.workers = 2});
    int runs = 0;
    for (int i = 0; i < 20; ++i) runtime.run([&] { ++runs; });
    EXPECT_EQ(runs, 20);
}

TEST(Runtime, ReturnsOnlyWhenEveryFiberHasEnded) {
    Runtime runtime({.workers = 2});
    std::atomic<int> ended = 0;
    runtime.run([&] {
        for (int i = 0; i < 100; ++i) {
            spawn([&ended] {
                for (int turn = 0; turn < 10; ++turn) yield();
                spawn([&ended] { ++ended; });
                ++ended;
            });
        }
    });
    EXPECT_EQ(ended, 200);
}

TEST(Runtime, OneWorkerRunsSpawnedFibersInOrder) {
    Runtime runtime({.workers = 1});
    std::string order;
    runtime.run([&] {
        for (char c = 'a'; c <= 'e'; ++c) spawn([&order, c] { order += c; });
        order += '|';
    });
    EXPECT_EQ(order, "|abcde");
}

TEST(Runtime, YieldGoesToTheTail) {
    Runtime runtime({.workers = 1});
    std::string order;
    runtime.run([&] {
        for (char c = 'a'; c <= 'c'; ++c) {
            spawn([&order, c] {
                for (int i = 0; i < 3; ++i) {
                    order += c;
                    yield();
                }
            });
        }
    });
    EXPECT_EQ(order, "abcabcabc");
}

TEST(Runtime, ParkedFiberRunsNextAfterReady) {
    Runtime runtime({.workers = 1});
    std::string order;
    runtime.run([&] {
        Fiber* parked = nullptr;
        spawn([&] {
            order += "park ";
            park(WaitReason::kOther, [&](Fiber* fiber) {
                parked = fiber;
                return true;
            });
            order += "resumed ";
        });
        yield();
        spawn([&] { order += "other "; });
        ASSERT_NE(parked, nullptr);
        EXPECT_EQ(parked->state(), FiberState::kWaiting);
        EXPECT_EQ(parked->wait_reason(), WaitReason::kOther);
        ready(parked);
        order += "main ";
    });
    EXPECT_EQ(order, "park main resumed other ");
}

TEST(Runtime, ParkGoesOnAtOnceWhenAfterRefuses) {
    Runtime runtime({.workers = 1});
    std::string order;
    runtime.run([&] {
        spawn([&] { order += "other"; });
        park(WaitReason::kMutex, [&](Fiber* fiber) {
            EXPECT_EQ(current(), nullptr);  // on the scheduler's stack
            EXPECT_EQ(fiber->state(), FiberState::kWaiting);
            order += "refused ";
            return false;
        });
        order += "main ";
    });
    EXPECT_EQ(order, "refused main other");
}

TEST(Runtime, SpawnOnRunsFirstOnThatWorker) {
    Runtime runtime({.workers = 4});
    std::vector<std::thread::id> first(4);
    std::atomic<int> mistakes = 0;
    runtime.run([&] {
        std::atomic<int> done = 0;
        for (unsigned worker = 0; worker < 4; ++worker) {
            spawn_on(runtime, worker, [&, worker] {
                first[worker] = std::this_thread::get_id();
                ++done;
            });
        }
        while (done != 4) yield();
        for (int round = 0; round < 200; ++round) {
            done = 0;
            for (unsigned worker = 0; worker < 4; ++worker) {
                spawn_on(runtime, worker, [&, worker] {
                    if (std::this_thread::get_id() != first[worker]) ++mistakes;
                    ++done;
                });
            }
            while (done != 4) yield();
        }
    });
    EXPECT_EQ(mistakes, 0);
}

TEST(Runtime, ClosuresAreMovedAndDestroyed) {
    Runtime runtime({.workers = 1});
    auto counted = std::make_shared<int>(0);
    std::array<char, 800> large{};
    large[799] = 'x';
    runtime.run([&] {
        spawn([counted, only_moved = std::make_unique<int>(7)] { *counted += *only_moved; });
        spawn([counted, large] { *counted += large[799] == 'x' ? 1 : 0; });
    });
    EXPECT_EQ(*counted, 8);
    EXPECT_EQ(counted.use_count(), 1);
}

// The C++ runtime keeps the caught and the flying exceptions per thread; fibers that switch inside
// a catch block must each find their own.
TEST(Runtime, ExceptionsStayWithTheirFiber) {
    Runtime runtime({.workers = 2});
    std::atomic<int> right = 0;
    runtime.run([&] {
        for (int i = 0; i < 64; ++i) {
            spawn([&right, i] {
                const std::string mine = "fiber " + std::to_string(i);
                for (int round = 0; round < 20; ++round) {
                    try {
                        throw std::runtime_error(mine);
                    } catch (const std::runtime_error&) {
                        yield();
                        try {
                            throw;  // rethrows what this fiber is handling
                        } catch (const std::runtime_error& error) {
                            yield();
                            if (error.what() == mine && std::uncaught_exceptions() == 0) ++right;
                        }
                    }
                }
            });
        }
    });
    EXPECT_EQ(right, 64 * 20);
}

TEST(Runtime, FibersHaveAccounts) {
    Runtime runtime({.workers = 1});
    runtime.run([&] {
        const FiberAccount before = current()->account();
        spawn([] {});
        for (int i = 0; i < 10; ++i) yield();
        const FiberAccount after = current()->account();
        EXPECT_EQ(after.switches - before.switches, 10U);
        EXPECT_GE(after.run_queue_ns, before.run_queue_ns);
        EXPECT_GT(after.running_ns, before.running_ns);
    });
}

TEST(Runtime, BudgetMakesABusyFiberYield) {
    Runtime runtime({.workers = 1, .monitor = false});  // nobody else asks it to yield
    bool other_ran = false;
    int checkpoints = 0;
    runtime.run([&] {
        spawn([&] { other_ran = true; });
        while (!other_ran) {
            checkpoint();
            ++checkpoints;
        }
    });
    EXPECT_EQ(checkpoints, limits::kFiberBudget);
}

}  // namespace
}  // namespace sluice::rt
