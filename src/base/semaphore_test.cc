#include "base/semaphore.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace sluice {
namespace {

TEST(Semaphore, APermitIsTakenOnce) {
    Semaphore semaphore;
    EXPECT_FALSE(semaphore.acquire_for(0));
    semaphore.release();
    semaphore.release();
    EXPECT_TRUE(semaphore.acquire_for(0));
    EXPECT_TRUE(semaphore.acquire_for(kSecond));
    EXPECT_FALSE(semaphore.acquire_for(kMillisecond));
}

TEST(Semaphore, EachReleaseLetsOneWaiterGo) {
    constexpr int kWaiters = 4;
    constexpr int kPermits = 4'000;
    Semaphore semaphore;
    std::atomic<int> taken = 0;
    std::vector<std::thread> waiters;
    for (int i = 0; i < kWaiters; ++i) {
        waiters.emplace_back([&] {
            do {
                semaphore.acquire();
            } while (++taken <= kPermits);
        });
    }
    for (int i = 0; i < kPermits; ++i) semaphore.release();
    while (taken < kPermits) std::this_thread::yield();
    EXPECT_FALSE(semaphore.acquire_for(0));
    for (int i = 0; i < kWaiters; ++i) semaphore.release();  // each ends one waiter
    for (std::thread& waiter : waiters) waiter.join();
    EXPECT_EQ(taken, kPermits + kWaiters);
}

}  // namespace
}  // namespace sluice
