// Timer: calls back at a deadline. Intrusive: it lies in its owner's object or stack frame.
//
//   struct Waiter { rt::Timer timer; rt::Fiber* fiber; };
//   waiter.timer.arm(deadline_ns, [](rt::Timer& timer) { ... rt::ready(...) });
//
// The callback runs on a worker's scheduler stack, not before the deadline; it must not suspend or
// block. It may arm its timer again and may call ready(). It may destroy nothing of the timer: the
// owner destroys it, and its destructor waits (spinning) for a callback that is still running on
// another worker. So declare a Timer after the members that its callback uses.
//
// arm() and cancel() of one timer are called by one owner at a time; callbacks of one worker's
// timers run in the order of their deadlines, and of their arm() calls when those are equal.
// Cost: arm and cancel do not depend on how many there are (rt/timer_heap.h); together 30-60 ns,
// and what the memory takes to fetch the timers (docs/runtime.md).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace sluice::rt {

class TimerHeap;

class Timer {
  public:
    using Callback = void (*)(Timer&);

    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    // Must not be armed: cancel it first. Waits for a running callback.
    ~Timer();

    // On a worker only (a fiber or a callback); the timer must not be armed. A deadline in the past
    // is due at once, but the callback never runs inside arm().
    void arm(TimeNs deadline_ns, Callback callback);

    // Any thread. True: it was armed, the callback will not run and is not running. False: it was
    // not armed, or its callback has run or is running now. Never waits for a lock that callbacks
    // hold.
    bool cancel();

    // Waits until the callback does not run. The caller must hold no lock which the callback takes.
    // Any thread; returns at once when called by the callback itself.
    void wait_idle() const noexcept;

    bool armed() const noexcept { return index_.load(std::memory_order_relaxed) != kNotArmed; }
    TimeNs deadline_ns() const noexcept { return deadline_ns_; }

  private:
    friend class TimerHeap;
    friend class TimerWheel;
    static constexpr std::uint32_t kNotArmed = UINT32_MAX;

    TimeNs deadline_ns_ = 0;
    Callback callback_ = nullptr;
    std::atomic<TimerHeap*> heap_{nullptr};        // where it was armed last
    std::atomic<std::uint32_t> index_{kNotArmed};  // in the heap, or in a slot of the wheel
    std::uint16_t slot_ = 0;                       // of the wheel; guarded by the heap's lock
};

// Suspends the calling fiber until the runtime's clock shows deadline_ns. False if that was already
// past (then it only passes a checkpoint()).
bool sleep_until(TimeNs deadline_ns);
bool sleep_for(TimeNs duration_ns);

}  // namespace sluice::rt
