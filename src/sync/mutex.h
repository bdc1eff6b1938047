// Mutex: mutual exclusion between fibers. A fiber that must wait is parked; its worker runs others.
//
// Unlike SpinLock (base/spin_lock.h) it may be held across suspensions. Only fibers may call it; it
// need not be unlocked on the worker (nor by the fiber) that locked it. Not recursive.
//
// Fairness: a released mutex goes to whoever comes first, mostly a running fiber (that is fast),
// but a waiter that has been passed over for limits::kMutexStarvingNs is handed the mutex directly.
// Waiters are served in order of arrival.
//
//      0 <--lock/unlock--> kLocked            no waiters: one compare-and-swap each, about 5 ns
//      kContended | kLocked                   waiters are queued; changes under queue_lock_
//      kContended                             released, a waiter has been woken and will compete
//
// It may be destroyed only when no call on it is in progress. Waits that parked a fiber are in the
// lock profile (rt/lock_profile.h), with who had the lock meanwhile.
//
//   sync::MutexGuard guard(mutex_);
//   if (Status s = mutex_.lock(context); !s) return s;   // kCancelled or kDeadlineExceeded
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "rt/fiber.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class SLUICE_CAPABILITY("Mutex") Mutex {
  public:
    Mutex() = default;
    ~Mutex();
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    // Not analysed: the lock is an atomic's bit.
    void lock() SLUICE_ACQUIRE() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        rt::checkpoint();
        std::uint32_t expected = 0;
        if (!state_.compare_exchange_strong(expected, kLocked, std::memory_order_acquire))
            [[unlikely]]
            lock_slowly();
    }
    // Gives up when the context ends. The result says whether the mutex is held, which the analysis
    // cannot follow; prefer lock() where the wait is short.
    [[nodiscard]] Status lock(const Context& context);
    bool try_lock() noexcept SLUICE_TRY_ACQUIRE(true);
    void unlock() noexcept SLUICE_RELEASE_LOCK() {
        std::uint32_t expected = kLocked;
        if (!state_.compare_exchange_strong(expected, 0, std::memory_order_release)) [[unlikely]]
            unlock_slowly();
    }

  private:
    static constexpr std::uint32_t kLocked = 1;
    static constexpr std::uint32_t kContended = 2;
    struct Node;

    // Called as true calls: their callers' frames are what the lock profile shows.
    [[clang::not_tail_called]] void lock_slowly();
    [[clang::not_tail_called]] bool lock_slowly(const Context& context);
    bool take() noexcept;
    bool spin() noexcept;
    bool take_or_enqueue(Node& node, bool in_front);
    void leave(Node& node);
    [[clang::not_tail_called]] void unlock_slowly() noexcept;

    // Acquire when kLocked is set, release when it is cleared.
    std::atomic<std::uint32_t> state_{0};
    SpinLock queue_lock_;
    WaitList queue_ SLUICE_GUARDED_BY(queue_lock_);
};

// Holds a Mutex for a scope.
class SLUICE_SCOPED_CAPABILITY MutexGuard {
  public:
    explicit MutexGuard(Mutex& mutex) SLUICE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexGuard() SLUICE_RELEASE_LOCK() { mutex_.unlock(); }
    MutexGuard(const MutexGuard&) = delete;
    MutexGuard& operator=(const MutexGuard&) = delete;

  private:
    Mutex& mutex_;
};

}  // namespace sluice::sync
