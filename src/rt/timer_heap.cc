#include "rt/timer_heap.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/pause.h"
#include "rt/current_worker.h"

namespace sluice::rt {

TimerHeap::~TimerHeap() {
    SLUICE_CHECK(heap_.empty() && wheel_.empty());
    SLUICE_CHECK(running_.load() == nullptr);
}

void TimerHeap::arm(Timer& timer, TimeNs deadline_ns, Timer::Callback callback) {
    SLUICE_ASSERT(callback != nullptr);
    const std::lock_guard lock(mutex_);
    SLUICE_CHECK(!timer.armed());
    timer.deadline_ns_ = deadline_ns;
    timer.callback_ = callback;
    // Before the index: whoever sees the index (acquire) sees the right heap.
    timer.heap_.store(this, std::memory_order_relaxed);
    const Entry entry{deadline_ns, next_sequence_++, &timer};
    // One that is never due stays at the heap's end: the wheel would wake for its slot.
    const bool near = heap_.size() < limits::kTimerHeapMax || deadline_ns == kNever;
    if (near || !wheel_.add(entry)) push(entry);
    publish_next();
}

void TimerHeap::push(const Entry& entry) {
    entry.timer->slot_ = kInHeap;
    heap_.push_back(entry);
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), entry);
}

bool TimerHeap::cancel(Timer& timer, bool& moved) {
    bool running = false;
    {
        const std::lock_guard lock(mutex_);
        const std::uint32_t index = timer.index_.load(std::memory_order_acquire);
        moved = timer.heap_.load(std::memory_order_relaxed) != this;
        if (moved || index == Timer::kNotArmed) return false;
        if (timer.slot_ == kInHeap) {
            SLUICE_ASSERT(index < heap_.size() && heap_[index].timer == &timer);
            remove(index);
        } else {
            wheel_.remove(timer);
        }
        publish_next();
        running = running_.load(std::memory_order_relaxed) == &timer;
    }
    if (running) wait_idle(timer);
    return true;
}

void TimerHeap::wait_idle(const Timer& timer) const noexcept {
    while (running_.load(std::memory_order_acquire) == &timer) {
        if (runner_.load(std::memory_order_relaxed) == current_worker()) return;  // called by it
        pause_cpu();
    }
}

unsigned TimerHeap::run_due(TimeNs now_ns, Worker* runner) {
    SLUICE_ASSERT(runner != nullptr);
    if (next_deadline_ns() > now_ns) return 0;
    std::unique_lock lock(mutex_);
    if (runner_.load(std::memory_order_relaxed) != nullptr) return 0;
    runner_.store(runner, std::memory_order_relaxed);
    const std::uint64_t sequence_end = next_sequence_;
    const TimeNs until_ns = take_from_wheel(now_ns);
    publish_next();
    unsigned count = 0;
    while (!heap_.empty() && heap_.front().deadline_ns <= until_ns &&
           heap_.front().sequence < sequence_end) {
        Timer& timer = *heap_.front().timer;
        const Timer::Callback callback = timer.callback_;
        remove(0);
        publish_next();
        running_.store(&timer, std::memory_order_relaxed);
        lock.unlock();
        callback(timer);  // afterwards the timer may be gone
        lock.lock();
        running_.store(nullptr, std::memory_order_release);
        ++count;
    }
    runner_.store(nullptr, std::memory_order_relaxed);
    return count;
}

// Up to when timers may run: those of the wheel that are due before are in the heap now.
TimeNs TimerHeap::take_from_wheel(TimeNs now_ns) {
    const bool all = wheel_.advance(now_ns, [this](const Entry& entry) { push(entry); });
    return all ? now_ns : std::min(now_ns, wheel_.reached_ns() - 1);
}

void TimerHeap::place(std::uint32_t index, const Entry& entry) noexcept {
    heap_[index] = entry;
    entry.timer->index_.store(index, std::memory_order_release);
}

void TimerHeap::sift_up(std::uint32_t index, const Entry& entry) noexcept {
    while (index > 0) {
        const std::uint32_t parent = (index - 1) / kArity;
        if (!entry.before(heap_[parent])) break;
        place(index, heap_[parent]);
        index = parent;
    }
    place(index, entry);
}

void TimerHeap::sift_down(std::uint32_t index, const Entry& entry) noexcept {
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
        const std::uint32_t first = index * kArity + 1;
        if (first >= size) break;
        std::uint32_t least = first;
        for (std::uint32_t child = first + 1; child < first + kArity && child < size; ++child) {
            if (heap_[child].before(heap_[least])) least = child;
        }
        if (!heap_[least].before(entry)) break;
        place(index, heap_[least]);
        index = least;
    }
    place(index, entry);
}

void TimerHeap::remove(std::uint32_t index) noexcept {
    SLUICE_ASSERT(index < heap_.size());
    heap_[index].timer->index_.store(Timer::kNotArmed, std::memory_order_release);
    const Entry last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size()) return;
    if (index > 0 && last.before(heap_[(index - 1) / kArity])) {
        sift_up(index, last);
    } else {
        sift_down(index, last);
    }
}

void TimerHeap::publish_next() noexcept {
    TimeNs next_ns = heap_.empty() ? kNever : heap_.front().deadline_ns;
    if (!wheel_.empty()) next_ns = std::min(next_ns, wheel_.next_ns());
    next_deadline_ns_.store(next_ns, std::memory_order_relaxed);
}

}  // namespace sluice::rt
