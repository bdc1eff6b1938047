#include "rt/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "rt/runtime.h"
#include "rt/simulation.h"

namespace sluice::rt {
namespace {

struct Recorder : Timer {
    std::vector<int>* order = nullptr;
    int number = 0;
    static void fire(Timer& timer) {
        auto& self = static_cast<Recorder&>(timer);
        self.order->push_back(self.number);
    }
};

// In virtual time everything is exact.
class TimerTest : public ::testing::Test {
  protected:
    SimClock clock_;
    Runtime runtime_{simulated(clock_, 1)};
    std::vector<int> order_;
};

TEST_F(TimerTest, FireInOrderOfDeadlineThenOfArming) {
    runtime_.run([&] {
        std::vector<Recorder> timers(500);
        std::vector<std::pair<TimeNs, int>> expected;
        for (int i = 0; i < 500; ++i) {
            timers[i].order = &order_;
            timers[i].number = i;
            const TimeNs deadline_ns = 2 * kSecond + (i * 7919) % 97;
            expected.emplace_back(deadline_ns, i);
            timers[i].arm(deadline_ns, &Recorder::fire);
        }
        sleep_until(3 * kSecond);
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(order_.size(), 500U);
        for (int i = 0; i < 500; ++i) EXPECT_EQ(order_[i], expected[i].second);
    });
}

TEST_F(TimerTest, CancelledOnesDoNotFire) {
    runtime_.run([&] {
        std::vector<Recorder> timers(100);
        for (int i = 0; i < 100; ++i) {
            timers[i].order = &order_;
            timers[i].number = i;
            timers[i].arm(2 * kSecond + i, &Recorder::fire);
        }
        for (int i = 0; i < 100; ++i) {
            if (i % 3 != 0) EXPECT_TRUE(timers[i].cancel());
        }
        EXPECT_FALSE(timers[1].cancel());
        sleep_until(3 * kSecond);
        EXPECT_EQ(order_.size(), 34U);
        EXPECT_TRUE(std::all_of(order_.begin(), order_.end(), [](int n) { return n % 3 == 0; }));
        EXPECT_FALSE(timers[0].cancel());
        EXPECT_FALSE(timers[0].armed());
    });
}

TEST_F(TimerTest, MayArmItselfAgain) {
    struct Ticker : Timer {
        int ticks = 0;
        static void tick(Timer& timer) {
            auto& self = static_cast<Ticker&>(timer);
            if (++self.ticks < 10) self.arm(self.deadline_ns() + 10, &Ticker::tick);
        }
    };
    runtime_.run([&] {
        Ticker ticker;
        ticker.arm(clock_.now_ns() + 10, &Ticker::tick);
        sleep_for(95);
        EXPECT_EQ(ticker.ticks, 9);
        sleep_for(1000);
        EXPECT_EQ(ticker.ticks, 10);
        EXPECT_FALSE(ticker.cancel());
    });
}

// A callback that arms a deadline in the past again and again must not keep its worker for ever.
TEST_F(TimerTest, PastDeadlineDoesNotStarveFibers) {
    struct Restless : Timer {
        bool stop = false;
        static void fire(Timer& timer) {
            auto& self = static_cast<Restless&>(timer);
            if (!self.stop) self.arm(0, &Restless::fire);
        }
    };
    runtime_.run([&] {
        Restless restless;
        restless.arm(0, &Restless::fire);
        for (int i = 0; i < 200; ++i) yield();
        restless.stop = true;
        restless.cancel();
    });
}

TEST_F(TimerTest, SleepsInVirtualTime) {
    runtime_.run([&] {
        const TimeNs start_ns = clock_.now_ns();
        EXPECT_FALSE(sleep_until(start_ns));
        EXPECT_FALSE(sleep_for(0));
        EXPECT_EQ(clock_.now_ns(), start_ns);
        EXPECT_TRUE(sleep_for(3600 * kSecond));
        EXPECT_EQ(clock_.now_ns(), start_ns + 3600 * kSecond);
    });
}

TEST(TimerWithRealTime, NeverFiresEarly) {
    Runtime runtime({.workers = 2});
    runtime.run([&] {
        for (int i = 0; i < 20; ++i) {
            spawn([&runtime, i] {
                const TimeNs until_ns = runtime.clock().now_ns() + i * 100 * kMicrosecond;
                sleep_until(until_ns);
                EXPECT_GE(runtime.clock().now_ns(), until_ns);
            });
        }
    });
}

}  // namespace
}  // namespace sluice::rt
