#include "base/tick_clock.h"

#include <gtest/gtest.h>

#include "base/limits.h"

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

// One measurement of the hardware's rate, with what this thread may have been held for.
struct Measured {
    double span;   // between two stamps, by the rate
    double least;  // and by the clock: its readings stand inside
    double most;   // and outside the stamps
    double error;  // of the rate, at most
};

Measured measure(const Clock& clock) {
    const TimeNs begun = clock.now_ns();
    TickClock ticks(clock);
    const TimeNs made = clock.now_ns();
    const Ticks start = ticks.now();
    const TimeNs inner_start = clock.now_ns();
    while (clock.now_ns() - inner_start < 5 * kMillisecond) {
    }
    const TimeNs inner_end = clock.now_ns();
    const Ticks end = ticks.now();
    const TimeNs outer_end = clock.now_ns();
    ticks.recalibrate();
    const TimeNs over = clock.now_ns();
    // The first reading of both was in what the constructor took beside its spin, the second in
    // recalibrate(): a counter that was read anywhere there makes no larger error.
    const TimeNs loose = made - begun - limits::kTickCalibrationNs + over - outer_end;
    return {.span = static_cast<double>(ticks.to_ns(end - start)),
            .least = static_cast<double>(inner_end - inner_start),
            .most = static_cast<double>(outer_end - made),
            .error = static_cast<double>(loose) / static_cast<double>(inner_end - inner_start)};
}

TEST(TickClock, HardwareRateBracketsTheSystemClock) {
    const SystemClock clock;
    Measured measured = measure(clock);
    // A measurement that bounds nothing, since the thread was held, is made again.
    for (int i = 0; i < 1'000 && measured.error > 0.01; ++i) measured = measure(clock);
    const double tolerated = measured.error + 0.001;
    EXPECT_GE(measured.span, measured.least * (1 - tolerated));
    EXPECT_LE(measured.span, measured.most * (1 + tolerated));
}

// A clock that is mostly slow to return, as for a thread that loses its CPU, and ever slower.
class SlowClock final : public Clock {
  public:
    TimeNs now_ns() const override {
        const TimeNs now = system_.now_ns();
        if (++calls_ % 4 == 0) return now;
        while (system_.now_ns() - now < calls_ * 100 * kMicrosecond) {
        }
        return now;
    }
    TimeNs wall_ns() const override { return system_.wall_ns(); }

  private:
    SystemClock system_;
    mutable int calls_ = 0;
};

TEST(TickClock, AThreadThatIsHeldDoesNotSpoilTheRate) {
    const SystemClock clock;
    const SlowClock slow;
    const TickClock ticks(slow);
    if (ticks.source() == TickClock::Source::kClock) GTEST_SKIP() << "no counter here";
    const TickClock exact(clock);
    constexpr Ticks kMany = 1'000'000'000;
    const auto ratio =
        static_cast<double>(ticks.to_ns(kMany)) / static_cast<double>(exact.to_ns(kMany));
    EXPECT_NEAR(ratio, 1, 0.05);
}

}  // namespace
}  // namespace sluice
