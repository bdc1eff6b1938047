#include "base/tick_clock.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

class ManualClock final : public Clock {
  public:
    TimeNs now_ns() const override { return now; }
    TimeNs wall_ns() const override { return now; }
    TimeNs now = 1'000;
};

TEST(TickClock, FollowsAnInjectedClockExactly) {
    ManualClock clock;
    TickClock ticks(clock, TickClock::Source::kClock);
    const Ticks start = ticks.now();
    clock.now += 12'345;
    EXPECT_EQ(ticks.to_ns(ticks.now() - start), 12'345);
    ticks.recalibrate();
    EXPECT_EQ(ticks.to_ns(7), 7);
}

TEST(TickClock, CountsABackwardStepAsZero) {
    ManualClock clock;
    const TickClock ticks(clock, TickClock::Source::kClock);
    const Ticks start = ticks.now();
    clock.now -= 10;
    EXPECT_EQ(ticks.to_ns(ticks.now() - start), 0);
}

TEST(TickClock, HardwareRateBracketsTheSystemClock) {
    const SystemClock clock;
    TickClock ticks(clock);
    // The clock readings stand outside and inside the stamps: the measured span lies between.
    const TimeNs outer_start = clock.now_ns();
    const Ticks start = ticks.now();
    const TimeNs inner_start = clock.now_ns();
    while (clock.now_ns() - inner_start < 5 * kMillisecond) {
    }
    const TimeNs inner_end = clock.now_ns();
    const Ticks end = ticks.now();
    const TimeNs outer_end = clock.now_ns();
    ticks.recalibrate();
    const auto span = static_cast<double>(ticks.to_ns(end - start));
    EXPECT_GE(span, static_cast<double>(inner_end - inner_start) * 0.99);
    EXPECT_LE(span, static_cast<double>(outer_end - outer_start) * 1.01);
}

}  // namespace
}  // namespace sluice
