// BlockingPool: the elastic, bounded set of threads behind blocking() (rt/blocking.h).
//
// A thread is started when a job arrives, none is idle and the bound allows it; it ends after
// limits::kBlockingThreadIdleNs without a job. Jobs start in the order in which they arrived. Each
// waiting job belongs to one parked fiber, so the queue is bounded by the number of fibers.
// The destructor waits for the threads; there must be no job left.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>
#include <type_traits>

#include "base/clock.h"
#include "rt/fiber.h"

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
    };

    BlockingPool(unsigned threads_max, TimeNs idle_ns);
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool();

    unsigned threads_max() const noexcept { return threads_max_; }

    // Any thread. Never blocks on a job. The job must live until its fiber is made ready.
    void submit(Job* job);
    // Waits for the threads that are about to make a fiber ready, or have and still wake a worker.
    // When no job is left, no worker's poller is touched after it until the next submit().
    void settle();

    Stats stats() const;

  private:
    void start_thread();  // mutex_ is held
    void thread_main(std::list<std::thread>::iterator self);

    const unsigned threads_max_;
    const TimeNs idle_ns_;
    mutable std::mutex mutex_;
    std::condition_variable work_;     // a job arrived, or stopping
    std::condition_variable ended_;    // the last thread ended
    std::condition_variable settled_;  // waking_ became 0
    // All below are guarded by mutex_.
    Job* head_ = nullptr;
    Job* tail_ = nullptr;
    unsigned idle_ = 0;      // threads that wait for a job, or will at once
    unsigned promised_ = 0;  // of those, how many have a queued job to come
    unsigned waking_ = 0;    // threads in ready()
    bool stopping_ = false;
    std::list<std::thread> threads_;
    std::list<std::thread> ended_threads_;  // to be joined
    Stats stats_;
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
