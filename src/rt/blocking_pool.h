// BlockingPool: the elastic, bounded set of threads behind blocking() (rt/blocking.h).
//
// A thread is started when a job arrives, none is idle and the bound allows it; it ends after
// limits::kBlockingThreadIdleNs without a job. Jobs start in the order in which they arrived. Each
// waiting job belongs to one parked fiber, so the queue is bounded by the number of fibers.
//
// Many blocking calls must not slow down the workers, which they share the CPUs with:
// - A thread of a busy pool loses its CPU at any instruction. So it holds nothing that a worker
//   waits for: no lock of the scheduler's, no end of its own that somebody joins. What these
//   threads share is without locks (rt/thread_roster.h), or among themselves.
// - The threads have a lower priority than the workers, the first few more of it than the others
//   (nice_of), so that all of them together weigh little more than one worker. Of those that sleep
//   the first one is woken for the next job.
// The destructor waits for the threads; there must be no job left.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/semaphore.h"
#include "rt/arrival_stack.h"
#include "rt/fiber.h"
#include "rt/thread_roster.h"

namespace sluice::rt {

class BlockingPool {
  public:
    struct Job {
        void (*run)(void* closure) = nullptr;
        void* closure = nullptr;
        Fiber* fiber = nullptr;  // made ready when the job is done
        Job* next = nullptr;
    };
    struct Stats {
        std::uint64_t jobs = 0;  // ended
        std::uint64_t threads_started = 0;
        unsigned threads = 0;       // alive
        unsigned threads_most = 0;  // ever alive at once
        unsigned pending = 0;       // jobs queued or running
        std::uint64_t summons = 0;  // idle threads woken for a job
    };

    // threads_max: at most limits::kBlockingThreadsMax. place_thread: called by each of its threads
    // when it begins, to put it on its CPUs.
    BlockingPool(unsigned threads_max, unsigned workers, TimeNs idle_ns,
                 std::function<void()> place_thread);
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool();

    unsigned threads_max() const noexcept { return threads_max_; }

    // Any thread. Never blocks on a job. The job must live until its fiber is made ready.
    void submit(Job* job);
    // Waits for the threads that are about to make a fiber ready, or have and still wake a worker.
    // When no job is left, no worker's poller is touched after it until the next submit().
    void settle() noexcept;

    Stats stats() const noexcept;

    // What is added to the nice value of the thread in a slot, with so many workers.
    static int nice_of(unsigned slot, unsigned workers) noexcept;

  private:
    static_assert(limits::kBlockingThreadsMax <= ThreadRoster<>::kMaskBits);

    struct Slot {
        std::thread thread;   // by whoever has claimed the slot, until `installed`
        std::thread before;   // the last one of this slot, which `thread` joins
        Semaphore installed;  // released when both are there
        Semaphore wake;       // released by whoever summons the thread
    };

    bool summon() noexcept;
    void start_thread();
    void thread_main(unsigned slot);
    Job* next_job(unsigned slot);  // nullptr: the thread shall end
    Job* take_job();
    bool job_waits();
    void run(Job* job, unsigned slot);

    const unsigned threads_max_;
    const unsigned workers_;
    const TimeNs idle_ns_;
    const std::function<void()> place_thread_;
    const std::unique_ptr<Slot[]> slots_;
    ThreadRoster<> roster_;

    ArrivalStack<Job, &Job::next> arrivals_;
    std::atomic<int> waking_{0};  // threads in ready()
    std::atomic<bool> stopping_{false};

    // By the pool's threads alone.
    Mutex queue_mutex_;
    Job* queue_ SLUICE_GUARDED_BY(queue_mutex_) = nullptr;  // the oldest first

    std::atomic<unsigned> threads_most_{0};
    std::atomic<std::uint64_t> threads_started_{0};
    std::atomic<std::uint64_t> jobs_{0};
    std::atomic<std::uint64_t> summons_{0};
    std::atomic<unsigned> pending_{0};
};

namespace detail {
void run_blocking(void (*run)(void* closure), void* closure);
}

// Runs body() on the pool and parks the calling fiber meanwhile. body must not throw.
template <class F>
void run_blocking(F& body) {
    static_assert(std::is_nothrow_invocable_v<F&>);
    detail::run_blocking([](void* closure) { (*static_cast<F*>(closure))(); }, &body);
}

}  // namespace sluice::rt
