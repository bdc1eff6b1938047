// GlobalQueue: runnable fibers that belong to no worker: those made ready by foreign threads, and
// what overflowed local queues. One lock; workers look at its size before they take it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "base/mutex.h"
#include "rt/park.h"

namespace sluice::rt {

class GlobalQueue {
  public:
    std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

    void push(Fiber* fiber) {
        const MutexLock lock(mutex_);
        fibers_.push_back(fiber);
        size_.store(fibers_.size(), std::memory_order_seq_cst);
    }

    void push_all(FiberList&& fibers) {
        const MutexLock lock(mutex_);
        fibers_.append(std::move(fibers));
        size_.store(fibers_.size(), std::memory_order_seq_cst);
    }

    // Moves a fair share for one of `workers` to `out`: size / workers + 1, at most `most`.
    void take_share(FiberList& out, std::size_t workers, std::size_t most) {
        if (size() == 0) return;
        const MutexLock lock(mutex_);
        std::size_t count = std::min(fibers_.size() / workers + 1, most);
        while (count-- > 0 && !fibers_.empty()) out.push_back(fibers_.pop_front());
        size_.store(fibers_.size(), std::memory_order_seq_cst);
    }

  private:
    Mutex mutex_;
    FiberList fibers_ SLUICE_GUARDED_BY(mutex_);
    std::atomic<std::size_t> size_{0};  // of fibers_; seq_cst: see Scheduler's parking protocol
};

}  // namespace sluice::rt
