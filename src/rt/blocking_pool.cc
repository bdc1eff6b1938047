#include "rt/blocking_pool.h"

#include <pthread.h>

#include <optional>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/syscall.h"
#include "rt/scheduler.h"

namespace sluice::rt {

BlockingPool::BlockingPool(unsigned threads_max, unsigned workers, TimeNs idle_ns,
                           std::function<void()> place_thread)
    : threads_max_(threads_max),
      workers_(workers),
      idle_ns_(idle_ns),
      place_thread_(std::move(place_thread)),
      slots_(std::make_unique<Slot[]>(threads_max)),
      roster_(threads_max) {
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
    const bool thread_comes = roster_.expect_job();
    arrivals_.push(job);  // from here on the job may be gone
    (void)summon();
    if (!thread_comes) start_thread();
}

// Wakes the first idle thread, if there is one.
bool BlockingPool::summon() noexcept {
    const std::optional<unsigned> slot = roster_.summon();
    if (!slot) return false;
    summons_.fetch_add(1, std::memory_order_relaxed);
    slots_[*slot].wake.release();
    return true;
}

// The slot's last thread has retired, but may take long to be gone: only the new one waits for it.
void BlockingPool::start_thread() {
    const std::optional<unsigned> claimed = roster_.claim();
    if (!claimed) return;
    const unsigned alive = roster_.alive();  // with the new one
    Slot& slot = slots_[*claimed];
    SLUICE_ASSERT(!slot.before.joinable());
    slot.before = std::move(slot.thread);
    try {
        slot.thread = std::thread([this, claimed] { thread_main(*claimed); });
    } catch (const std::system_error&) {
        // The system refuses more threads: the job waits for one of those that live.
        slot.thread = std::move(slot.before);
        SLUICE_CHECK(roster_.disclaim(*claimed));
        return;
    }
    threads_started_.fetch_add(1);
    unsigned most = threads_most_.load();
    while (most < alive && !threads_most_.compare_exchange_weak(most, alive)) {
    }
    slot.installed.release();
}

void BlockingPool::thread_main(unsigned slot) {
    pthread_setname_np(pthread_self(), "blocking");
    place_thread_();  // and not where the worker that has started it is pinned
    (void)sys::nice(nice_of(slot, workers_));  // where it is refused, all stays as it was
    slots_[slot].installed.acquire();
    if (slots_[slot].before.joinable()) slots_[slot].before.join();
    roster_.add_spare();
    do {
        roster_.announce(slot);
        while (Job* job = next_job(slot)) run(job, slot);
    } while (!roster_.retire(slot));
}

// The slot is announced.
BlockingPool::Job* BlockingPool::next_job(unsigned slot) {
    Semaphore& wake = slots_[slot].wake;
    for (;;) {
        if (Job* job = take_job()) {
            if (!roster_.withdraw(slot)) {
                // Summoned for a job that may be another one. It was published before: if it is not
                // to be seen now, somebody has taken it. Else the summons is passed on.
                wake.acquire();
                if (job_waits()) (void)summon();
            }
            return job;
        }
        if (stopping_.load()) return nullptr;
        if (!wake.acquire_for(idle_ns_) && roster_.leave()) {
            if (roster_.withdraw(slot)) return nullptr;
            roster_.add_spare();  // it is wanted after all
            wake.acquire();
        }
        roster_.announce(slot);
    }
}

BlockingPool::Job* BlockingPool::take_job() {
    const MutexLock lock(queue_mutex_);
    if (queue_ == nullptr) queue_ = arrivals_.take_all();
    return queue_ == nullptr ? nullptr : std::exchange(queue_, queue_->next);
}

bool BlockingPool::job_waits() {
    const MutexLock lock(queue_mutex_);
    return queue_ != nullptr || !arrivals_.empty();
}

void BlockingPool::run(Job* job, unsigned slot) {
    Scheduler& scheduler = job->fiber->runtime().scheduler();
    scheduler.record_blocking(TraceKind::kBlockingBegin, *job->fiber);
    job->run(job->closure);
    scheduler.record_blocking(TraceKind::kBlockingEnd, *job->fiber);
    pending_.fetch_sub(1);
    jobs_.fetch_add(1);
    waking_.fetch_add(1);
    // The fiber's next job, which may come before this thread is back, is ours.
    roster_.add_spare();
    roster_.announce(slot);
    scheduler.ready_from_pool(job->fiber);  // afterwards the job is gone
    if (waking_.fetch_sub(1) == 1) waking_.notify_all();
}

void BlockingPool::settle() noexcept {
    for (int waking = waking_.load(); waking != 0; waking = waking_.load()) waking_.wait(waking);
}

BlockingPool::Stats BlockingPool::stats() const noexcept {
    return {.jobs = jobs_.load(),
            .threads_started = threads_started_.load(),
            .threads = roster_.alive(),
            .threads_most = threads_most_.load(),
            .pending = pending_.load(),
            .summons = summons_.load()};
}

}  // namespace sluice::rt
