// TimerHeap: the armed timers of one worker, in the order of (deadline, order of arming).
//
// The next ones are in a 4-ary heap; with more than limits::kTimerHeapMax in it, a timer of a later
// tick is put into a wheel (rt/timer_wheel.h), which gives it to the heap when that tick begins.
// So the heap stays small, arming and cancelling cost the same with 1,000 timers as with a million,
// and the order in which timers run is exact all the same.
//
// Its worker arms timers in it and runs those that are due; another worker may run them when the
// owner is busy with a long slice, and any thread may cancel. One lock guards the heap; callbacks
// run without it. One worker at a time runs callbacks of a heap.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "rt/timer.h"
#include "rt/timer_wheel.h"

namespace sluice::rt {

class Worker;

class TimerHeap {
  public:
    TimerHeap() = default;
    TimerHeap(const TimerHeap&) = delete;
    TimerHeap& operator=(const TimerHeap&) = delete;
    ~TimerHeap();

    void arm(Timer& timer, TimeNs deadline_ns, Timer::Callback callback);
    // See Timer::cancel. `moved`: the timer lies in another heap by now; ask that one.
    bool cancel(Timer& timer, bool& moved);
    void wait_idle(const Timer& timer) const noexcept;

    // Runs the callbacks of the timers that are due at now_ns, on a worker's scheduler stack. A
    // timer armed by one of these callbacks is left for the next call. Returns how many ran.
    unsigned run_due(TimeNs now_ns, Worker* runner);

    // kNever when empty. Any thread, no lock.
    TimeNs next_deadline_ns() const noexcept {
        return next_deadline_ns_.load(std::memory_order_relaxed);
    }

  private:
    static constexpr std::uint32_t kArity = 4;
    static constexpr std::uint16_t kInHeap = UINT16_MAX;  // a timer's slot_
    using Entry = TimerEntry;

    void push(const Entry& entry);
    TimeNs take_from_wheel(TimeNs now_ns);
    void place(std::uint32_t index, const Entry& entry) noexcept;
    void sift_up(std::uint32_t index, const Entry& entry) noexcept;
    void sift_down(std::uint32_t index, const Entry& entry) noexcept;
    void remove(std::uint32_t index) noexcept;
    void publish_next() noexcept;

    std::mutex mutex_;
    std::vector<Entry> heap_;          // guarded by mutex_
    TimerWheel wheel_;                 // guarded by mutex_
    std::uint64_t next_sequence_ = 0;  // guarded by mutex_
    std::atomic<TimeNs> next_deadline_ns_{kNever};
    // Who runs callbacks here, and which; written under mutex_, but cleared `running_` is the
    // release that wait_idle() acquires.
    std::atomic<Worker*> runner_{nullptr};
    std::atomic<const Timer*> running_{nullptr};
};

}  // namespace sluice::rt
