#include "base/spin_lock.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice {
namespace {

TEST(SpinLock, ExcludesThreads) {
    SpinLock lock;
    int count = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i) {
                SpinGuard guard(lock);
                ++count;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(count, 40'000);
}

TEST(SpinLock, TryLockFailsWhileHeld) {
    SpinLock lock;
    lock.lock();
    bool taken = true;
    std::thread([&]() SLUICE_NO_THREAD_SAFETY_ANALYSIS { taken = lock.try_lock(); }).join();
    EXPECT_FALSE(taken);
    lock.unlock();
    if (lock.try_lock()) {
        lock.unlock();
    } else {
        FAIL() << "free lock not taken";
    }
}

}  // namespace
}  // namespace sluice
