// Condition: waiting, with a Mutex released meanwhile, until another fiber says that a state may
// have changed. The usual contract: wait() in a loop around the state. Fibers wait; anyone may
// notify.
//
//   sync::MutexGuard guard(mutex_);
//   while (queue_.empty()) SLUICE_TRY(not_empty_.wait(mutex_, context));
//
// A notification reaches only those who wait already; each waiter has its own, and a waiter that
// was cancelled does not swallow one. Waiters are served in order of arrival.
#pragma once

#include "sync/mutex.h"

namespace sluice::sync {

class Condition {
  public:
    // Suspends. The mutex is released while waiting and held again on return, whatever the result.
    // kCancelled, kDeadlineExceeded: from the context.
    Status wait(Mutex& mutex, const Context& context = Context::background())
        SLUICE_REQUIRES(mutex);

    // Any thread or stack; with or without the mutex. Do not suspend.
    void notify_one() noexcept;
    void notify_all() noexcept;

  private:
    SpinLock lock_;
    WaitList waiters_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
