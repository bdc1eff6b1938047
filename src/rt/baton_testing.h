// Baton: the smallest thing to wait for, for tests of this layer (sync has the real ones). One
// fiber waits, anybody posts; each post lets one wait through.
#pragma once

#include <mutex>

#include "rt/park.h"

namespace sluice::rt {

class Baton {
  public:
    void wait(WaitReason reason = WaitReason::kChannel) {
        mutex_.lock();
        if (posts_ > 0) {
            --posts_;
            mutex_.unlock();
            return;
        }
        park(reason, [this](Fiber* fiber) {
            waiter_ = fiber;
            mutex_.unlock();
            return true;
        });
    }

    void post() {
        Fiber* waiter = nullptr;
        {
            const std::lock_guard lock(mutex_);
            waiter = std::exchange(waiter_, nullptr);
            if (waiter == nullptr) ++posts_;
        }
        if (waiter != nullptr) ready(waiter);
    }

  private:
    std::mutex mutex_;
    Fiber* waiter_ = nullptr;  // guarded by mutex_
    int posts_ = 0;            // guarded by mutex_
};

}  // namespace sluice::rt
