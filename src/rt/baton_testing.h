// Baton: the smallest thing to wait for, for tests of this layer (sync has the real ones). One
// fiber waits, anybody posts; each post lets one wait through.
#pragma once

#include <utility>

#include "base/spin_lock.h"
#include "rt/park.h"

namespace sluice::rt {

class Baton {
  public:
    void wait(WaitReason reason = WaitReason::kChannel) SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        lock_.lock();
        if (posts_ > 0) {
            --posts_;
            lock_.unlock();
            return;
        }
        park(reason, [this](Fiber* fiber) SLUICE_NO_THREAD_SAFETY_ANALYSIS {
            waiter_ = fiber;
            lock_.unlock();
            return true;
        });
    }

    void post() {
        Fiber* waiter = nullptr;
        {
            const SpinGuard guard(lock_);
            waiter = std::exchange(waiter_, nullptr);
            if (waiter == nullptr) ++posts_;
        }
        if (waiter != nullptr) ready(waiter);
    }

  private:
    SpinLock lock_;  // not a std::mutex: it is unlocked on another stack than it is locked on
    Fiber* waiter_ = nullptr;  // guarded by lock_
    int posts_ = 0;            // guarded by lock_
};

}  // namespace sluice::rt
