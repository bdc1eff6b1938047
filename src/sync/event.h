// Event and Notify: one bit to wait for.
//
// An Event stays set until reset(): every wait passes meanwhile. For "it is ready", "it has
// stopped". A Notify is taken by the wait that passes: for "look again". Signals that come while
// nobody waits are merged into one, so a consumer that looks again after each wait misses nothing:
//
//   for (;;) { drain(queue); SLUICE_TRY(notify.wait(context)); }
//
// Fibers wait; any thread or stack may set. set() and signal() do not touch the object after a
// waiter could have seen their effect, so the waiter may destroy it.
#pragma once

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class Event {
  public:
    void set() noexcept;
    void reset() noexcept;
    bool is_set() const noexcept;
    // Suspends. kCancelled, kDeadlineExceeded: from the context.
    Status wait(const Context& context = Context::background());

  private:
    mutable SpinLock lock_;
    bool set_ SLUICE_GUARDED_BY(lock_) = false;
    WaitList waiters_ SLUICE_GUARDED_BY(lock_);
};

class Notify {
  public:
    // Wakes one waiter, or leaves the signal for the next wait().
    void signal() noexcept;
    // Suspends until there is a signal and takes it. kCancelled, kDeadlineExceeded: from the
    // context.
    Status wait(const Context& context = Context::background());

  private:
    SpinLock lock_;
    bool signalled_ SLUICE_GUARDED_BY(lock_) = false;
    WaitList waiters_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
