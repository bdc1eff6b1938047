#include "rt/timer.h"

#include "base/check.h"
#include "rt/current_worker.h"
#include "rt/park.h"
#include "rt/runtime.h"
#include "rt/timer_heap.h"
#include "rt/worker.h"

namespace sluice::rt {

Timer::~Timer() {
    SLUICE_CHECK(!armed());
    wait_idle();
}

void Timer::arm(TimeNs deadline_ns, Callback callback) {
    Worker* worker = current_worker();
    SLUICE_CHECK(worker != nullptr);
    worker->processor().timers.arm(*this, deadline_ns, callback);
}

bool Timer::cancel() {
    for (;;) {
        TimerHeap* heap = heap_.load(std::memory_order_acquire);
        if (heap == nullptr) return false;
        bool moved = false;
        const bool cancelled = heap->cancel(*this, moved);
        if (!moved) return cancelled;
    }
}

void Timer::wait_idle() const noexcept {
    const TimerHeap* heap = heap_.load(std::memory_order_acquire);
    if (heap != nullptr) heap->wait_idle(*this);
}

bool sleep_until(TimeNs deadline_ns) {
    struct Sleeper : Timer {
        Fiber* fiber = nullptr;
    };
    if (Runtime::current().clock().now_ns() >= deadline_ns) {
        checkpoint();
        return false;
    }
    Sleeper sleeper;
    park(WaitReason::kTimer, [&sleeper, deadline_ns](Fiber* fiber) {
        sleeper.fiber = fiber;
        sleeper.arm(deadline_ns, [](Timer& timer) { ready(static_cast<Sleeper&>(timer).fiber); });
        return true;
    });
    return true;
}

bool sleep_for(TimeNs duration_ns) {
    const TimeNs now_ns = Runtime::current().clock().now_ns();
    return sleep_until(duration_ns < kNever - now_ns ? now_ns + duration_ns : kNever);
}

}  // namespace sluice::rt
