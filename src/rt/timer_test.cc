#include "rt/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <utility>
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

// So many that most are in the wheel, from a microsecond to a week ahead, some cancelled, some
// armed again later: all others run at their very deadline, in exact order.
TEST_F(TimerTest, ManyFireInExactOrderThroughTheWheel) {
    struct Exact : Recorder {
        const Clock* clock = nullptr;
        static void fire(Timer& timer) {
            EXPECT_EQ(static_cast<Exact&>(timer).clock->now_ns(), timer.deadline_ns());
            Recorder::fire(timer);
        }
    };
    runtime_.run([&] {
        constexpr int kTimers = 30'000;
        std::mt19937_64 random(5);
        std::vector<Exact> timers(kTimers);
        std::vector<TimeNs> armed(kTimers, 0);
        const TimeNs start_ns = clock_.now_ns();
        const auto arm = [&](int i) {
            const TimeNs ahead = kMicrosecond << random() % 40;
            armed[i] = clock_.now_ns() + ahead + static_cast<TimeNs>(random() % 3);
            timers[i].arm(armed[i], &Exact::fire);
        };
        for (int i = 0; i < kTimers; ++i) {
            timers[i].order = &order_;
            timers[i].number = i;
            timers[i].clock = &clock_;
            arm(i);
        }
        for (int i = 0; i < kTimers; i += 3) EXPECT_TRUE(timers[i].cancel());
        sleep_until(start_ns + kSecond);
        const std::size_t early = order_.size();
        std::vector<std::pair<TimeNs, int>> expected;
        for (int i = 0; i < kTimers; ++i) {
            if (i % 3 == 0) arm(i);
            if (timers[i].armed()) expected.emplace_back(armed[i], i);
        }
        EXPECT_EQ(early + expected.size(), static_cast<std::size_t>(kTimers));
        sleep_until(start_ns + 3'000'000 * kSecond);
        // Equal deadlines: in the order of arming, which is that of the numbers but for the third.
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(order_.size(), early + expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(armed[order_[early + i]], expected[i].first) << i;
        }
    });
}

TEST_F(TimerTest, EqualDeadlinesInTheWheelKeepTheOrderOfArming) {
    runtime_.run([&] {
        constexpr int kTimers = 20'000;  // more than one turn moves
        std::vector<Recorder> timers(kTimers);
        for (int i = 0; i < kTimers; ++i) {
            timers[i].order = &order_;
            timers[i].number = i;
            timers[i].arm(500 * kSecond + i / 100, &Recorder::fire);
        }
        sleep_until(501 * kSecond);
        ASSERT_EQ(order_.size(), static_cast<std::size_t>(kTimers));
        EXPECT_TRUE(std::is_sorted(order_.begin(), order_.end()));
    });
}

// A model of random steps: arm, cancel, let time pass. What runs, and when, is what a sorted map
// says.
TEST_F(TimerTest, AgreesWithASortedMap) {
    struct Noted : Timer {
        std::set<std::pair<TimeNs, Noted*>>* armed_set = nullptr;
        static void fire(Timer& timer) {
            auto& self = static_cast<Noted&>(timer);
            EXPECT_EQ(self.armed_set->erase({self.deadline_ns(), &self}), 1U);
        }
    };
    runtime_.run([&] {
        std::mt19937_64 random(11);
        std::set<std::pair<TimeNs, Noted*>> armed;
        std::vector<Noted> timers(5'000);
        for (int step = 0; step < 100'000; ++step) {
            Noted& timer = timers[random() % timers.size()];
            timer.armed_set = &armed;
            if (timer.armed()) {
                EXPECT_TRUE(timer.cancel());
                EXPECT_EQ(armed.erase({timer.deadline_ns(), &timer}), 1U);
            } else {
                const TimeNs ahead = 1 + static_cast<TimeNs>(random() % (1ULL << random() % 45));
                timer.arm(clock_.now_ns() + ahead, &Noted::fire);
                armed.emplace(timer.deadline_ns(), &timer);
            }
            if (step % 50 == 0) {
                sleep_for(1 + static_cast<TimeNs>(random() % (1ULL << random() % 38)));
                // All that were due have run, and none of the others.
                ASSERT_TRUE(armed.empty() || armed.begin()->first > clock_.now_ns());
            }
        }
        for (Noted& timer : timers) timer.cancel();
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
