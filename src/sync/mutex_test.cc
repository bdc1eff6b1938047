#include "sync/mutex.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "rt/runtime.h"
#include "sync/condition.h"
#include "sync/group.h"
#include "sync/once.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(Mutex, Excludes) {
    run_on(3, [] {
        Mutex mutex;
        int count = 0;
        Group group(nullptr);
        for (int f = 0; f < 50; ++f) {
            group.spawn([&] {
                for (int i = 0; i < 500; ++i) {
                    MutexGuard guard(mutex);
                    const int seen = count;
                    if (i % 50 == 0) rt::yield();  // held across a suspension
                    count = seen + 1;
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(count, 25'000);
    });
}

TEST(Mutex, TryLockTakesOnlyAFreeOne) {
    run_on(1, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        Mutex mutex;
        EXPECT_TRUE(mutex.try_lock());
        EXPECT_FALSE(mutex.try_lock());
        mutex.unlock();
        EXPECT_TRUE(mutex.try_lock());
        mutex.unlock();
    });
}

TEST(Mutex, WaitersAreServedInOrderOfArrival) {
    run_simulated(2, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        Mutex mutex;
        std::vector<int> order;
        Group group(nullptr);
        mutex.lock();
        for (int i = 0; i < 5; ++i) {
            group.spawn([&, i] {
                MutexGuard guard(mutex);
                order.push_back(i);
            });
            rt::sleep_for(kMillisecond);  // it has queued
        }
        mutex.unlock();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
    });
}

// One who keeps taking the mutex back cannot keep a waiter out for longer than the limit.
TEST(Mutex, IsHandedToAStarvingWaiter) {
    run_simulated(3, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        Mutex mutex;
        bool served = false;
        Group group(nullptr);
        mutex.lock();
        group.spawn([&] {
            MutexGuard guard(mutex);
            served = true;
        });
        rt::sleep_for(limits::kMutexStarvingNs / 2);
        mutex.unlock();
        EXPECT_TRUE(mutex.try_lock());  // not starving yet: whoever comes first
        rt::sleep_for(limits::kMutexStarvingNs);
        mutex.unlock();
        EXPECT_FALSE(mutex.try_lock());  // handed over
        EXPECT_FALSE(served);
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_TRUE(served);
    });
}

TEST(Mutex, LockGivesUpWithItsContext) {
    run_simulated(4, []() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        Mutex mutex;
        mutex.lock();
        Group group(nullptr);
        group.spawn([&] {
            Context context(nullptr, deadline_after(kSecond));
            EXPECT_EQ(mutex.lock(context).error().code(), Code::kDeadlineExceeded);
        });
        EXPECT_TRUE(group.wait().has_value());
        mutex.unlock();
        Context ended(nullptr);
        ended.cancel();
        EXPECT_TRUE(mutex.lock(ended).has_value());  // it need not wait
        mutex.unlock();
    });
}

// Waiters that give up while an unlock picks them must not lose the wake-up of the others.
TEST(Mutex, StressWithCancelledWaiters) {
    run_on(3, [] {
        Mutex mutex;
        int count = 0;
        std::atomic<int> taken{0};
        Group group(nullptr);
        for (int f = 0; f < 40; ++f) {
            group.spawn([&, f]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                for (int i = 0; i < 200; ++i) {
                    Context context(nullptr,
                                    f % 2 == 0 ? deadline_after(20 * kMicrosecond) : kNever);
                    if (!mutex.lock(context)) continue;
                    ++count;
                    taken.fetch_add(1);
                    if (i % 8 == 0) rt::yield();
                    mutex.unlock();
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(count, taken.load());
        EXPECT_GE(count, 20 * 200);
    });
}

TEST(Condition, HandsOutWork) {
    run_on(3, [] {
        Mutex mutex;
        Condition changed;
        int available = 0;
        int done = 0;
        Group group(nullptr);
        for (int f = 0; f < 20; ++f) {
            group.spawn([&] {
                for (int i = 0; i < 100; ++i) {
                    MutexGuard guard(mutex);
                    while (available == 0) (void)changed.wait(mutex);
                    --available;
                    ++done;
                }
            });
        }
        for (int i = 0; i < 2'000; ++i) {
            MutexGuard guard(mutex);
            ++available;
            changed.notify_one();
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(done, 2'000);
        EXPECT_EQ(available, 0);
    });
}

TEST(Condition, ACancelledWaiterDoesNotSwallowANotification) {
    run_simulated(5, [] {
        Mutex mutex;
        Condition changed;
        int woken = 0;
        Context context(nullptr);
        Group group(nullptr);
        group.spawn([&] {
            MutexGuard guard(mutex);
            EXPECT_FALSE(changed.wait(mutex, context).has_value());
        });
        rt::sleep_for(kMillisecond);
        group.spawn([&] {
            MutexGuard guard(mutex);
            EXPECT_TRUE(changed.wait(mutex).has_value());
            ++woken;
        });
        rt::sleep_for(kMillisecond);
        context.cancel();
        changed.notify_one();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(woken, 1);
    });
}

TEST(Condition, NotifyAllWakesAll) {
    run_simulated(6, [] {
        Mutex mutex;
        Condition changed;
        bool open = false;
        Group group(nullptr);
        for (int i = 0; i < 10; ++i) {
            group.spawn([&] {
                MutexGuard guard(mutex);
                while (!open) (void)changed.wait(mutex);
            });
        }
        rt::sleep_for(kMillisecond);
        {
            MutexGuard guard(mutex);
            open = true;
        }
        changed.notify_all();
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST(Once, RunsOneTimeAndTheOthersWait) {
    run_on(3, [] {
        for (int round = 0; round < 50; ++round) {
            Once once;
            int runs = 0;
            Group group(nullptr);
            for (int f = 0; f < 8; ++f) {
                group.spawn([&] {
                    once.call([&] {
                        rt::yield();
                        ++runs;
                    });
                    EXPECT_EQ(runs, 1);
                });
            }
            EXPECT_TRUE(group.wait().has_value());
            EXPECT_TRUE(once.done());
        }
    });
}

}  // namespace
}  // namespace sluice::sync
