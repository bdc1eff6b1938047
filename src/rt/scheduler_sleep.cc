// How workers fall asleep and are woken, and what the last one awake decides (rt/scheduler.h).
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "rt/current_worker.h"
#include "rt/scheduler.h"

namespace sluice::rt {

bool Scheduler::may_spin() const noexcept {
    const int asleep = sleepers_.load(std::memory_order_relaxed) +
                       spare_sleepers_.load(std::memory_order_relaxed) +
                       aside_sleepers_.load(std::memory_order_relaxed);
    const int busy = static_cast<int>(workers_.size()) - asleep;
    return 2 * spinning_.load(std::memory_order_relaxed) < busy;
}

void Scheduler::wake_one() {
    const Worker* const caller = current_worker();
    // The only worker is awake itself. Not if the caller is another runtime's.
    if (workers_.size() == 1 && caller != nullptr && &caller->scheduler_ == this) return;
    // Orders the caller's publication of work before these looks (step 2 in the protocol).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool spares = spares_wanted_.load() && spare_sleepers_.load() > 0;
    if ((sleepers_.load() == 0 && !spares) || spinning_.load() != 0) return;
    int nobody = 0;
    if (!spinning_.compare_exchange_strong(nobody, 1)) return;
    Worker* sleeper = nullptr;
    {
        const MutexLock lock(lock_);
        const std::size_t last = spares ? workers_.size() : base_workers_;
        for (unsigned i = 0; i < last && sleeper == nullptr; ++i) {
            if (workers_[i]->stands_aside()) continue;
            sleeper = take_sleeper(i, /*with_token=*/true);
        }
        // Under the lock, so that a worker that falls asleep after this look sees no phantom
        // spinner on which others would rely.
        if (sleeper == nullptr) spinning_.fetch_sub(1);
    }
    if (sleeper == nullptr) return;
    wakes_.fetch_add(1, std::memory_order_relaxed);
    sleeper->processor().poller->wake();
}

void Scheduler::nudge_one() {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // as in wake_one()
    const bool spares = spares_wanted_.load() && spare_sleepers_.load() > 0;
    if ((sleepers_.load() == 0 && !spares) || spinning_.load() != 0) return;
    const std::size_t last = spares ? workers_.size() : base_workers_;
    for (unsigned i = 0; i < last; ++i) {
        Worker& worker = *workers_[i];
        if (worker.stands_aside() || !worker.asleep_.load()) continue;
        wakes_.fetch_add(1, std::memory_order_relaxed);
        worker.processor().poller->wake();
        return;
    }
    // Whoever has woken up meanwhile looks at the queues before it sleeps again.
}

void Scheduler::wake_worker(unsigned index) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!workers_[index]->asleep_.load()) return;
    Worker* sleeper = nullptr;
    {
        const MutexLock lock(lock_);
        sleeper = take_sleeper(index, /*with_token=*/false);
    }
    if (sleeper == nullptr) return;
    wakes_.fetch_add(1, std::memory_order_relaxed);
    sleeper->processor().poller->wake();
}

Worker* Scheduler::take_sleeper(unsigned index, bool with_token) {
    Worker& worker = *workers_[index];
    if (!worker.asleep_.load(std::memory_order_relaxed)) return nullptr;
    SLUICE_ASSERT(worker.asleep_among_->load() > 0);
    worker.asleep_.store(false);
    worker.woken_spinning_ = with_token;
    worker.asleep_among_->fetch_sub(1);
    return &worker;
}

void Scheduler::fall_asleep(Worker& worker) {
    {
        const MutexLock lock(lock_);
        SLUICE_CHECK(!worker.asleep_.load());
        worker.woken_spinning_ = false;
        worker.asleep_among_ = worker.is_spare()       ? &spare_sleepers_
                               : worker.stands_aside() ? &aside_sleepers_
                                                       : &sleepers_;
        worker.asleep_.store(true);
        worker.asleep_among_->fetch_add(1);
    }
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool Scheduler::wake_up(Worker& worker) {
    const MutexLock lock(lock_);
    if (!worker.asleep_.load()) return std::exchange(worker.woken_spinning_, false);
    take_sleeper(worker.index(), /*with_token=*/false);
    return false;
}

// Whose part changes is woken, so that it sleeps on among those to whom it belongs now.
void Scheduler::set_active_workers(unsigned count) {
    SLUICE_CHECK(count > 0 && count <= base_workers_);
    unsigned before = 0;
    {
        const MutexLock lock(lock_);  // with fall_asleep()
        before = active_workers_.exchange(count);
    }
    if (before == count) return;
    active_worker_changes_.fetch_add(1, std::memory_order_relaxed);
    for (unsigned i = std::min(before, count); i < std::max(before, count); ++i) wake_worker(i);
}

bool Scheduler::work_to_steal() const noexcept {
    if (!global_queue_.empty()) return true;
    for (const auto& worker : workers_) {
        if (worker->processor_.queue.size() > 0) return true;
    }
    return false;
}

bool Scheduler::work_in_sight(Worker& worker) const noexcept {
    return !worker.processor_.inbox.empty() || worker.processor_.waiting() > 0 ||
           (worker.may_take() && work_to_steal());
}

bool Scheduler::last_one_verdict() {
    const std::uint64_t before = switches();
    {
        const MutexLock lock(lock_);
        const int asleep = sleepers_.load() + spare_sleepers_.load() + aside_sleepers_.load();
        if (asleep != static_cast<int>(serving_)) return false;
    }
    if (live() == 0) {
        stopping_.store(true);
        wake_all();
        return true;
    }
    if (!deadlocked()) return false;
    // The looks above make one picture only if nothing ran meanwhile. Nothing ran when all slept,
    // and nothing has run since then if no fiber was switched in since before that: a thread from
    // outside may have woken one, which has ended on another worker by now.
    if (switches() != before) return false;
    // Reported already, and nothing has run since?
    if (verdict_at_switches_.exchange(before) == before) return false;
    report_deadlock();
    return true;
}

bool Scheduler::should_end(Worker& worker) {
    if (!stopping_.load() || live() != 0) return false;
    {
        const MutexLock lock(lock_);
        SLUICE_CHECK(serving_ > 0 && !worker.asleep_.load());
        --serving_;
    }
    wake_all();  // whoever has gone to sleep again meanwhile must see that it may end
    return true;
}

void Scheduler::wake_all() {
    for (unsigned i = 0; i < workers_.size(); ++i) wake_worker(i);
}

std::uint64_t Scheduler::live() const noexcept {
    // Ended first: a fiber that starts in between must not be missed.
    std::uint64_t ended = 0;
    for (const auto& worker : workers_) ended += worker->processor_.counters.ended.get();
    std::uint64_t started = started_elsewhere_.load();
    for (const auto& worker : workers_) started += worker->processor_.counters.started.get();
    return started - ended;
}

std::uint64_t Scheduler::switches() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->processor_.counters.switches.get();
    return sum;
}

// All workers sleep: is there anything that could make a fiber runnable?
bool Scheduler::deadlocked() const {
    if (foreign_threads_.load() != 0 || blocking_pool_->stats().pending != 0) return false;
    for (const auto& worker : workers_) {
        if (!worker->poller_idle_.load(std::memory_order_relaxed)) return false;
        if (worker->processor_.timers.next_deadline_ns() != kNever) return false;
    }
    bool all_wait_for_fibers = true;
    stacks_.for_each([&](const Fiber& fiber) {
        const FiberState state = fiber.state();
        if (state == FiberState::kFree) return;
        all_wait_for_fibers = all_wait_for_fibers && state == FiberState::kWaiting &&
                              ends_by_fiber_only(fiber.wait_reason());
    });
    return all_wait_for_fibers;
}

void Scheduler::report_deadlock() {
    const std::string text =
        "deadlock: every fiber waits for another fiber, and no timer, I/O or thread is at work\n" +
        dump();
    if (options_.on_deadlock) {
        options_.on_deadlock(text);
        return;
    }
    std::fputs(text.c_str(), stderr);
    std::abort();
}

void Scheduler::report_stall(const StallReport& report) {
    if (options_.on_stall) {
        options_.on_stall(report);
        return;
    }
    constexpr TimeNs kPerMs = kMillisecond;
    std::fprintf(
        stderr,
        "fiber %llu \"%s\" has kept worker %u for %lld ms; CPU time %lld of the last %lld ms\n%s",
        static_cast<unsigned long long>(report.fiber), report.name.c_str(), report.worker,
        static_cast<long long>(report.lasted_ns / kPerMs),
        static_cast<long long>(report.cpu_ns / kPerMs),
        static_cast<long long>(report.watched_ns / kPerMs), report.stack.c_str());
}

}  // namespace sluice::rt
