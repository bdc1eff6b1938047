// Simulation: one worker, virtual time, and a seed that decides which runnable fiber comes next.
// The same program with the same seed makes the same steps, so a failing run can be repeated.
//
//   rt::SimClock clock;
//   rt::Runtime runtime(rt::simulated(clock, seed));
//   runtime.run([] { rt::sleep_for(3600 * kSecond); });      // returns at once
//
// Time stands still while any fiber can run, and jumps to the next timer or simulated event when
// none can. blocking() runs its function on the worker. Other threads (std::thread) break
// determinism.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "rt/null_poller.h"
#include "rt/poller.h"
#include "rt/runtime.h"

namespace sluice::rt {

// Starts at one second, so that zero is not a time. The wall clock starts at 2020-01-01 and runs
// along.
class SimClock final : public Clock {
  public:
    TimeNs now_ns() const override { return now_ns_.load(std::memory_order_relaxed); }
    TimeNs wall_ns() const override { return kWallStartNs + now_ns(); }
    void advance(TimeNs duration_ns) noexcept;

  private:
    static constexpr TimeNs kWallStartNs = 1'577'836'800 * kSecond;
    std::atomic<TimeNs> now_ns_{kSecond};
};

// A poller whose waiting advances the clock. Simulated devices derive from it: they say when their
// next event is due and run it.
class SimPoller : public Poller {
  public:
    explicit SimPoller(SimClock& clock) : clock_(clock) {}

    unsigned poll(TimeNs timeout_ns) final;
    void wake() noexcept final { sleeper_.wake(); }
    bool idle() const override { return next_event_ns() == kNever; }

  protected:
    // When run_events() will next have something to do; kNever: not until something is armed.
    virtual TimeNs next_event_ns() const { return kNever; }
    // Runs all events that are due; returns their number.
    virtual unsigned run_events() { return 0; }

    SimClock& clock_;

  private:
    NullPoller sleeper_;  // for the case that nothing but another thread can go on
};

// The options of a simulated runtime: one worker, SimPoller, no blocking threads.
Options simulated(SimClock& clock, std::uint64_t seed);

}  // namespace sluice::rt
