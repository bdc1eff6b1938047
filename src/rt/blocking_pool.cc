#include "rt/blocking_pool.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "base/check.h"
#include "rt/park.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

void record(const Fiber& fiber, TraceKind kind) {
    Scheduler& scheduler = fiber.runtime().scheduler();
    scheduler.record(nullptr, kind, scheduler.ticks().now(), fiber);
}

}  // namespace

BlockingPool::BlockingPool(unsigned threads_max, TimeNs idle_ns)
    : threads_max_(threads_max), idle_ns_(idle_ns) {}

BlockingPool::~BlockingPool() {
    std::list<std::thread> ended;
    std::unique_lock lock(mutex_);
    SLUICE_CHECK(head_ == nullptr);
    stopping_ = true;
    work_.notify_all();
    ended_.wait(lock, [this] { return threads_.empty(); });
    ended.swap(ended_threads_);
    lock.unlock();
    for (std::thread& thread : ended) thread.join();
}

void BlockingPool::submit(Job* job) {
    SLUICE_ASSERT(job->run != nullptr && job->fiber != nullptr && job->next == nullptr);
    std::list<std::thread> ended;
    {
        const std::lock_guard lock(mutex_);
        SLUICE_CHECK(!stopping_ && threads_max_ > 0);
        if (tail_ == nullptr) {
            head_ = job;
        } else {
            tail_->next = job;
        }
        tail_ = job;
        ++stats_.pending;
        if (promised_ < idle_) {
            ++promised_;
            work_.notify_one();
        } else if (threads_.size() < threads_max_) {
            start_thread();
        }
        ended.swap(ended_threads_);
    }
    for (std::thread& thread : ended) thread.join();  // they have nothing left to do
}

void BlockingPool::start_thread() {
    const auto thread = threads_.emplace(threads_.end());
    try {
        *thread = std::thread([this, thread] { thread_main(thread); });
    } catch (const std::system_error&) {
        // The system refuses more threads: the job waits for one of those that live.
        threads_.erase(thread);
        SLUICE_CHECK(!threads_.empty());
        return;
    }
    ++stats_.threads_started;
    stats_.threads_most = std::max(stats_.threads_most, static_cast<unsigned>(threads_.size()));
}

void BlockingPool::thread_main(std::list<std::thread>::iterator self) {
    pthread_setname_np(pthread_self(), "blocking");
    std::unique_lock lock(mutex_);
    for (;;) {
        while (head_ == nullptr && !stopping_) {
            ++idle_;
            const auto idle_time = std::chrono::nanoseconds(idle_ns_);
            const bool timed_out = work_.wait_for(lock, idle_time) == std::cv_status::timeout;
            --idle_;
            if (promised_ > 0) --promised_;
            if (timed_out) break;
        }
        if (head_ == nullptr) break;  // idle for long, or stopping
        Job* job = head_;
        head_ = job->next;
        if (head_ == nullptr) tail_ = nullptr;
        lock.unlock();
        record(*job->fiber, TraceKind::kBlockingBegin);
        job->run(job->closure);
        record(*job->fiber, TraceKind::kBlockingEnd);
        lock.lock();
        --stats_.pending;
        ++stats_.jobs;
        Fiber* fiber = job->fiber;
        // Counts as idle already: the fiber's next job, which may come before we are back, is ours.
        ++idle_;
        ++waking_;
        lock.unlock();
        ready(fiber);  // afterwards the job is gone
        lock.lock();
        --idle_;
        if (--waking_ == 0) settled_.notify_all();
        if (promised_ > 0) --promised_;
    }
    ended_threads_.splice(ended_threads_.end(), threads_, self);
    if (threads_.empty()) ended_.notify_all();
}

void BlockingPool::settle() {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [this] { return waking_ == 0; });
}

BlockingPool::Stats BlockingPool::stats() const {
    const std::lock_guard lock(mutex_);
    Stats now = stats_;
    now.threads = static_cast<unsigned>(threads_.size());
    return now;
}

}  // namespace sluice::rt
