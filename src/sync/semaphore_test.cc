// Semaphore, WaitGroup, Event, Notify: the small ones.
#include "sync/semaphore.h"

#include <gtest/gtest.h>

#include <vector>

#include "sync/event.h"
#include "sync/group.h"
#include "sync/run_testing.h"
#include "sync/wait_group.h"

namespace sluice::sync {
namespace {

TEST(Semaphore, BoundsHowManyRun) {
    run_on(3, [] {
        Semaphore slots(4);
        std::atomic<int> inside{0};
        std::atomic<int> most{0};
        Group group(nullptr);
        for (int f = 0; f < 40; ++f) {
            group.spawn([&] {
                for (int i = 0; i < 50; ++i) {
                    (void)slots.acquire();
                    const int now = inside.fetch_add(1) + 1;
                    for (int seen = most.load();
                         now > seen && !most.compare_exchange_weak(seen, now);) {
                    }
                    do rt::yield();
                    while (most.load() < 4);  // the first four meet inside
                    inside.fetch_sub(1);
                    slots.release();
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(most.load(), 4);
        EXPECT_EQ(slots.available(), 4u);
    });
}

TEST(Semaphore, ALargeRequestIsNotOvertaken) {
    run_simulated(1, [] {
        Semaphore permits(3);
        std::vector<int> order;
        Group group(nullptr);
        (void)permits.acquire(3);
        group.spawn([&] {
            (void)permits.acquire(3);
            order.push_back(3);
            permits.release(3);
        });
        rt::sleep_for(kMillisecond);
        group.spawn([&] {
            (void)permits.acquire(1);
            order.push_back(1);
            permits.release(1);
        });
        rt::sleep_for(kMillisecond);
        permits.release(2);
        EXPECT_FALSE(permits.try_acquire(1));  // it would overtake
        permits.release(1);
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(order, (std::vector<int>{3, 1}));
    });
}

TEST(Semaphore, AHeadThatGivesUpLetsTheNextPass) {
    run_simulated(2, [] {
        Semaphore permits(1);
        Context context(nullptr);
        bool passed = false;
        Group group(nullptr);
        group.spawn([&] { EXPECT_FALSE(permits.acquire(2, context).has_value()); });
        rt::sleep_for(kMillisecond);
        group.spawn([&] {
            EXPECT_TRUE(permits.acquire(1).has_value());
            passed = true;
        });
        rt::sleep_for(kMillisecond);
        EXPECT_FALSE(passed);
        context.cancel();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_TRUE(passed);
        EXPECT_EQ(permits.available(), 0u);
    });
}

TEST(Semaphore, StressWithCancelledRequestsLosesNoPermit) {
    run_on(3, [] {
        Semaphore permits(5);
        Group group(nullptr);
        for (int f = 0; f < 40; ++f) {
            group.spawn([&, f] {
                for (int i = 0; i < 200; ++i) {
                    const std::uint64_t amount = 1 + static_cast<std::uint64_t>((f + i) % 4);
                    Context context(nullptr,
                                    f % 2 == 0 ? deadline_after(10 * kMicrosecond) : kNever);
                    if (!permits.acquire(amount, context)) continue;
                    if (i % 4 == 0) rt::yield();
                    permits.release(amount);
                }
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(permits.available(), 5u);
    });
}

TEST(WaitGroup, WaitsForZero) {
    run_on(3, [] {
        for (int round = 0; round < 200; ++round) {
            auto wait_group = std::make_unique<WaitGroup>();
            std::atomic<int> done{0};
            Group group(nullptr);
            wait_group->add(8);
            for (int f = 0; f < 8; ++f) {
                group.spawn([&, raw = wait_group.get()] {
                    done.fetch_add(1);
                    raw->done();
                });
            }
            EXPECT_TRUE(wait_group->wait().has_value());
            EXPECT_EQ(done.load(), 8);
            wait_group.reset();  // the last done() no longer touches it
            EXPECT_TRUE(group.wait().has_value());
        }
    });
}

TEST(WaitGroup, WaitGivesUpWithItsContext) {
    run_simulated(3, [] {
        WaitGroup wait_group;
        EXPECT_TRUE(wait_group.wait().has_value());
        wait_group.add();
        Context context(nullptr, deadline_after(kSecond));
        EXPECT_EQ(wait_group.wait(context).error().code(), Code::kDeadlineExceeded);
        EXPECT_EQ(wait_group.count(), 1u);
        wait_group.done();
    });
}

TEST(Event, StaysSetUntilReset) {
    run_simulated(4, [] {
        Event event;
        int passed = 0;
        Group group(nullptr);
        for (int f = 0; f < 5; ++f) {
            group.spawn([&] {
                EXPECT_TRUE(event.wait().has_value());
                ++passed;
            });
        }
        rt::sleep_for(kMillisecond);
        EXPECT_EQ(passed, 0);
        event.set();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(passed, 5);
        EXPECT_TRUE(event.wait().has_value());
        event.reset();
        EXPECT_FALSE(event.is_set());
        Context context(nullptr, deadline_after(kSecond));
        EXPECT_FALSE(event.wait(context).has_value());
    });
}

TEST(Event, AWaiterMayDestroyIt) {
    run_on(3, [] {
        for (int round = 0; round < 500; ++round) {
            auto event = std::make_unique<Event>();
            Group group(nullptr);
            group.spawn([raw = event.get()] { raw->set(); });
            EXPECT_TRUE(event->wait().has_value());
            event.reset();
            EXPECT_TRUE(group.wait().has_value());
        }
    });
}

TEST(Notify, MergesSignalsAndLosesNone) {
    run_on(3, [] {
        Notify notify;
        std::atomic<int> produced{0};
        int consumed = 0;
        Group group(nullptr);
        for (int f = 0; f < 4; ++f) {
            group.spawn([&] {
                for (int i = 0; i < 2'000; ++i) {
                    produced.fetch_add(1);
                    notify.signal();
                }
            });
        }
        while (consumed < 8'000) {
            EXPECT_TRUE(notify.wait().has_value());
            consumed += produced.exchange(0);
        }
        EXPECT_EQ(consumed, 8'000);
        EXPECT_TRUE(group.wait().has_value());
    });
}

}  // namespace
}  // namespace sluice::sync
