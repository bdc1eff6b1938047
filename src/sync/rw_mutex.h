// RwMutex: many readers at a time, or one writer. For state that is read often, changed seldom,
// and read for longer than a few dozen instructions (else a Mutex is cheaper).
//
// Like Mutex it may be held across suspensions, is for fibers only, and need not be unlocked by the
// fiber or on the worker that locked it. Not recursive: a fiber that reads must not lock it for
// reading again, because a writer may have queued between the two.
//
// Fairness: strictly in order of arrival, so neither side starves. A reader that comes while a
// writer waits queues behind it; when a writer leaves, all readers up to the next waiting writer
// enter together. Those who waited are handed the lock; nobody overtakes them.
//
//      0 <--> readers * kReader     free, and held for reading: one compare-and-swap, about 10 ns
//      0 <--> kWriter               held for writing: the same
//      ... | kQueued                somebody waits: the fast paths are shut; changes under
//                                   queue_lock_, except that holders leave by one subtraction
//
// It may be destroyed only when no call on it is in progress. Waits that parked a fiber are in the
// lock profile (rt/lock_profile.h); of several readers, the last to leave counts as the holder.
//
//   sync::ReadGuard guard(routes_);
//   if (Status s = routes_.lock(context); !s) return s;   // kCancelled or kDeadlineExceeded
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class SLUICE_CAPABILITY("RwMutex") RwMutex {
  public:
    RwMutex() = default;
    ~RwMutex();
    RwMutex(const RwMutex&) = delete;
    RwMutex& operator=(const RwMutex&) = delete;

    // Suspend until held. The forms with a context give up when it ends (kCancelled,
    // kDeadlineExceeded: not held); then the readers that had queued behind a writer go on.
    // Called as true calls, like unlock(): their callers' frames are what the lock profile shows.
    [[clang::not_tail_called]] void lock() SLUICE_ACQUIRE();
    [[clang::not_tail_called]] void lock_shared() SLUICE_ACQUIRE_SHARED();
    [[nodiscard, clang::not_tail_called]] Status lock(const Context& context);
    [[nodiscard, clang::not_tail_called]] Status lock_shared(const Context& context);

    // False if they would have to wait.
    bool try_lock() noexcept SLUICE_TRY_ACQUIRE(true);
    bool try_lock_shared() noexcept SLUICE_TRY_ACQUIRE_SHARED(true);

    // Do not suspend.
    [[clang::not_tail_called]] void unlock() noexcept SLUICE_RELEASE_LOCK();
    [[clang::not_tail_called]] void unlock_shared() noexcept SLUICE_RELEASE_SHARED();

  private:
    static constexpr std::uint32_t kWriter = 1;
    static constexpr std::uint32_t kQueued = 2;
    static constexpr std::uint32_t kReader = 4;
    struct Node;

    bool try_take(std::uint32_t mine) noexcept;
    bool lock_slowly(std::uint32_t mine, const Context& context);
    bool take_or_enqueue(Node& node);
    void grant_next(bool by_holder) noexcept;

    // What a holder adds: kWriter or kReader; acquire when it is added, release when it is
    // subtracted.
    std::atomic<std::uint32_t> state_{0};
    SpinLock queue_lock_;
    WaitList queue_ SLUICE_GUARDED_BY(queue_lock_);
};

// Holds an RwMutex for reading during a scope.
class SLUICE_SCOPED_CAPABILITY ReadGuard {
  public:
    explicit ReadGuard(RwMutex& mutex) SLUICE_ACQUIRE_SHARED(mutex) : mutex_(mutex) {
        mutex_.lock_shared();
    }
    ~ReadGuard() SLUICE_RELEASE_GENERIC() { mutex_.unlock_shared(); }
    ReadGuard(const ReadGuard&) = delete;
    ReadGuard& operator=(const ReadGuard&) = delete;

  private:
    RwMutex& mutex_;
};

// Holds an RwMutex for writing during a scope.
class SLUICE_SCOPED_CAPABILITY WriteGuard {
  public:
    explicit WriteGuard(RwMutex& mutex) SLUICE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~WriteGuard() SLUICE_RELEASE_LOCK() { mutex_.unlock(); }
    WriteGuard(const WriteGuard&) = delete;
    WriteGuard& operator=(const WriteGuard&) = delete;

  private:
    RwMutex& mutex_;
};

}  // namespace sluice::sync
