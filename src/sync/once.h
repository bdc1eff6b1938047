// Once: runs a function one time, whoever comes first; the others wait for it to have ended.
//
//   once_.call([&] { table_ = build_table(); });
//
// On fibers; the function may suspend. It must not throw and must not call the same Once. After the
// first time a call costs one load.
#pragma once

#include <atomic>
#include <utility>

#include "sync/mutex.h"

namespace sluice::sync {

class Once {
  public:
    template <class F>
    void call(F&& fn) {
        // Acquire pairs with the release below: what fn wrote is visible.
        if (done_.load(std::memory_order_acquire)) return;
        MutexGuard guard(mutex_);
        if (done_.load(std::memory_order_relaxed)) return;
        std::forward<F>(fn)();
        done_.store(true, std::memory_order_release);
    }

    bool done() const noexcept { return done_.load(std::memory_order_acquire); }

  private:
    Mutex mutex_;
    std::atomic<bool> done_{false};
};

}  // namespace sluice::sync
