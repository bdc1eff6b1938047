#include "rt/blocking_pool.h"

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/syscall.h"
#include "rt/park.h"
#include "rt/scheduler.h"
#include "rt/topology.h"

namespace sluice::rt {
namespace {

void record(const Fiber& fiber, TraceKind kind) {
    Scheduler& scheduler = fiber.runtime().scheduler();
    scheduler.record(nullptr, kind, scheduler.ticks().now(), fiber);
}

}  // namespace

BlockingPool::BlockingPool(unsigned threads_max, unsigned workers, TimeNs idle_ns,
                           std::vector<unsigned> cpus)
    : threads_max_(threads_max),
      workers_(workers),
      idle_ns_(idle_ns),
      cpus_(std::move(cpus)),
      slots_(std::make_unique<Slot[]>(threads_max)) {
    SLUICE_CHECK(threads_max <= limits::kBlockingThreadsMax);
}

BlockingPool::~BlockingPool() {
    SLUICE_CHECK(pending_.load() == 0);
    stopping_.store(true);
    while (summon()) {
    }
    for (unsigned i = 0; i < threads_max_; ++i) {
        if (slots_[i].thread.joinable()) slots_[i].thread.join();
    }
}

// A thread at nice 10 weighs a ninth of a worker, at 15 a 28th, at 19 a 68th (sched(7)).
int BlockingPool::nice_of(unsigned slot, unsigned workers) noexcept {
    if (slot < workers) return 10;
    return slot < 4 * workers ? 15 : 19;
}

void BlockingPool::submit(Job* job) {
    SLUICE_ASSERT(job->run != nullptr && job->fiber != nullptr && job->next == nullptr);
    SLUICE_CHECK(!stopping_.load() && threads_max_ > 0);
    pending_.fetch_add(1);
    const bool thread_comes = spare_.fetch_sub(1) > 0;
    arrivals_.push(job);  // from here on the job may be gone
    (void)summon();
    if (!thread_comes && threads_alive_.load() < threads_max_) start_thread();
}

// Wakes the first idle thread, if there is one.
bool BlockingPool::summon() noexcept {
    Mask idle = idle_.load();
    while (idle != 0) {
        if (!idle_.compare_exchange_weak(idle, idle & (idle - 1))) continue;
        slots_[static_cast<unsigned>(std::countr_zero(idle))].wake.release();
        return true;
    }
    return false;
}

void BlockingPool::start_thread() {
    const MutexLock lock(threads_mutex_);
    const auto alive = static_cast<unsigned>(std::popcount(alive_));
    if (alive == threads_max_) return;
    const auto slot = static_cast<unsigned>(std::countr_one(alive_));
    std::thread& thread = slots_[slot].thread;
    if (thread.joinable()) thread.join();  // it has nothing left to do
    spare_.fetch_add(1);
    try {
        thread = std::thread([this, slot] { thread_main(slot); });
    } catch (const std::system_error&) {
        // The system refuses more threads: the job waits for one of those that live.
        spare_.fetch_sub(1);
        SLUICE_CHECK(alive > 0);
        return;
    }
    alive_ |= Mask{1} << slot;
    threads_alive_.fetch_add(1);
    threads_most_.store(std::max(threads_most_.load(), alive + 1));
    threads_started_.fetch_add(1);
}

void BlockingPool::thread_main(unsigned slot) {
    pthread_setname_np(pthread_self(), "blocking");
    SLUICE_CHECK(pin_thread(cpus_));  // and not where the worker that has started it is pinned
    (void)sys::nice(nice_of(slot, workers_));  // where it is refused, all stays as it was
    do {
        announce(slot);
        while (Job* job = next_job(slot)) run(job, slot);
    } while (!end(slot));
}

// False: the thread shall go on. A submitter first counts its job and then looks how many threads
// there are; this is the other way round, so one of them sees that a thread is missing.
bool BlockingPool::end(unsigned slot) {
    const Mask bit = Mask{1} << slot;
    const MutexLock lock(threads_mutex_);
    threads_alive_.fetch_sub(1);
    if (spare_.load() >= 0) {
        alive_ &= ~bit;
        return true;
    }
    threads_alive_.fetch_add(1);
    spare_.fetch_add(1);
    return false;
}

// The slot is announced. A submitter first publishes its job and then looks who is idle; a thread
// announces itself and then looks for jobs. So one of them sees the other.
BlockingPool::Job* BlockingPool::next_job(unsigned slot) {
    Semaphore& wake = slots_[slot].wake;
    for (;;) {
        if (Job* job = take_job()) {
            if (!withdraw(slot)) {
                // Somebody counts on this thread for a job that may be another one: pass that on.
                wake.acquire();
                (void)summon();
            }
            return job;
        }
        if (stopping_.load()) return nullptr;
        if (!wake.acquire_for(idle_ns_) && leave()) {
            if (withdraw(slot)) return nullptr;
            spare_.fetch_add(1);  // it is wanted after all
            wake.acquire();
        }
        announce(slot);
    }
}

// False: a submitter counts on this thread.
bool BlockingPool::leave() noexcept {
    int spare = spare_.load();
    while (spare > 0) {
        if (spare_.compare_exchange_weak(spare, spare - 1)) return true;
    }
    return false;
}

BlockingPool::Job* BlockingPool::take_job() {
    const MutexLock lock(queue_mutex_);
    if (queue_ == nullptr) queue_ = arrivals_.take_all();
    return queue_ == nullptr ? nullptr : std::exchange(queue_, queue_->next);
}

void BlockingPool::announce(unsigned slot) noexcept {
    idle_.fetch_or(Mask{1} << slot);
}

// False: somebody has cleared the bit, and releases `wake`.
bool BlockingPool::withdraw(unsigned slot) noexcept {
    const Mask bit = Mask{1} << slot;
    return (idle_.fetch_and(~bit) & bit) != 0;
}

void BlockingPool::run(Job* job, unsigned slot) {
    record(*job->fiber, TraceKind::kBlockingBegin);
    job->run(job->closure);
    record(*job->fiber, TraceKind::kBlockingEnd);
    pending_.fetch_sub(1);
    jobs_.fetch_add(1);
    waking_.fetch_add(1);
    // The fiber's next job, which may come before this thread is back, is ours.
    spare_.fetch_add(1);
    announce(slot);
    ready(job->fiber);  // afterwards the job is gone
    if (waking_.fetch_sub(1) == 1) waking_.notify_all();
}

void BlockingPool::settle() noexcept {
    for (int waking = waking_.load(); waking != 0; waking = waking_.load()) waking_.wait(waking);
}

BlockingPool::Stats BlockingPool::stats() const noexcept {
    return {.jobs = jobs_.load(),
            .threads_started = threads_started_.load(),
            .threads = threads_alive_.load(),
            .threads_most = threads_most_.load(),
            .pending = pending_.load()};
}

}  // namespace sluice::rt
