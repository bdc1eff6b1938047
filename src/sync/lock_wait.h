// LockWait: one fiber's wait for a lock, for the lock profile (rt/lock_profile.h). Internal to
// Mutex and RwMutex, which put one on the waiter's stack beside its WaitNode.
//
// Who takes a free lock is not noted: that would cost every lock(). But whoever takes unlock()'s
// slow path is the holder, and tells those who wait. A lock may pass through many hands before a
// waiter's turn comes; blamed is who held it for the longest part of the wait. So that nobody has
// to tell all waiters, the one who gets the lock hands what it knows to the next one in the queue.
//
//   the waiter                             the holder, under the lock's queue_lock_
//   ----------                             ----------------------------------------
//   LockWait wait(this);                   let_go(next->wait, &head->wait, now);
//   enqueue, park
//   wait.over()  or  wait.given_up()
//
// Stacks are captured for waits of limits::kLockShortWaitNs and more, and for one in
// limits::kLockWaitsPerSample of the shorter ones, which then stands for as many.
#pragma once

#include "base/tick_clock.h"
#include "rt/lock_profile.h"

namespace sluice::sync {

class LockWait {
  public:
    // On the fiber that is about to queue up.
    explicit LockWait(const void* lock) noexcept;
    LockWait(const LockWait&) = delete;
    LockWait& operator=(const LockWait&) = delete;

    // How long it has waited at `now`.
    TimeNs lasted_ns(Ticks now) const noexcept { return ticks_.to_ns(now - since_); }

    // The holder, the calling fiber unless `by_holder` is false, lets go of the lock: `next` is the
    // one who may have it, `head` (or nullptr) is first in the queue after that.
    static void let_go(LockWait& next, LockWait* head, Ticks now, bool by_holder = true) noexcept;

    // By the waiter. Counts the wait, if it was one: up to the last let_go().
    void over() const;
    // The same up to now; who has the lock now is not known.
    void given_up();

  private:
    // A part of the wait during which one holder had the lock.
    struct Hold {
        rt::LockParty holder;
        Ticks from = 0;
        Ticks until = 0;
    };
    bool is_recorded(Ticks now) const noexcept;
    void blame(const rt::LockParty& holder, Ticks from, Ticks until) noexcept;
    void count(Ticks until, bool given_up) const;

    const TickClock& ticks_;
    const void* const lock_;
    const Ticks since_;
    const bool sampled_;
    Ticks released_ = 0;  // when the lock was last let go of; 0: not since it waits
    Hold longest_;
};

}  // namespace sluice::sync
