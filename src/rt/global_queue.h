// GlobalQueue: runnable fibers that belong to no worker: those made ready by foreign threads, what
// overflowed local queues, and what workers that stand aside hand on. Workers share one lock;
// foreign threads never take it, so one that loses its CPU holds up no worker.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include "base/mutex.h"
#include "rt/inbox.h"
#include "rt/park.h"

namespace sluice::rt {

class GlobalQueue {
  public:
    // Any thread. Sequentially consistent: see Scheduler's parking protocol.
    bool empty() const noexcept {
        return size_.load(std::memory_order_seq_cst) == 0 && foreign_.empty();
    }

    // How many there are at least: those of foreign threads that no worker has seen count as one.
    // Any thread.
    std::size_t size_at_least() const noexcept {
        return size_.load(std::memory_order_relaxed) + (foreign_.empty() ? 0 : 1);
    }

    // Any thread, without a lock.
    void push_foreign(Fiber* fiber) noexcept { foreign_.push(fiber); }

    // A worker.
    void push_all(FiberList&& fibers) {
        const MutexLock lock(mutex_);
        fibers_.append(std::move(fibers));
        size_.store(fibers_.size(), std::memory_order_seq_cst);
    }

    // Moves a fair share for one of `workers` to `out`: size / workers + 1, at most `most`.
    void take_share(FiberList& out, std::size_t workers, std::size_t most) {
        if (empty()) return;
        const MutexLock lock(mutex_);
        if (!foreign_.empty()) {
            size_.store(fibers_.size() + 1, std::memory_order_seq_cst);  // never empty meanwhile
            foreign_.take_all(fibers_);
        }
        std::size_t count = std::min(fibers_.size() / workers + 1, most);
        while (count-- > 0 && !fibers_.empty()) out.push_back(fibers_.pop_front());
        size_.store(fibers_.size(), std::memory_order_seq_cst);
    }

  private:
    Inbox foreign_;  // consumed under the mutex
    Mutex mutex_;
    FiberList fibers_ SLUICE_GUARDED_BY(mutex_);
    std::atomic<std::size_t> size_{0};  // of fibers_
};

}  // namespace sluice::rt
