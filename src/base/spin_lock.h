// A lock for critical sections of a few dozen instructions, on any thread, fiber or scheduler
// stack.
//
// While it is held the holder must not suspend, block, allocate much, or take another SpinLock
// except in an order that the headers of both state. It is 1 byte and needs no destruction. An
// uncontended lock()/unlock() pair costs one atomic exchange and one store, about 6 ns. Waiters
// spin; after limits::kSpinsBeforeYield rounds they give the CPU back to the kernel, because the
// holder may have been preempted.
//
// unlock()'s store is the last access to the lock, so whoever takes the lock next may destroy it.
//
//   SpinGuard guard(lock_);
#pragma once

#include <atomic>

#include "base/thread_annotations.h"

namespace sluice {

class SLUICE_CAPABILITY("SpinLock") SpinLock {
  public:
    SpinLock() = default;
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    // Acquire pairs with the release in unlock(). Not analysed: an atomic cannot be told to be the
    // lock.
    void lock() noexcept SLUICE_ACQUIRE() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
        if (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
            lock_slowly();
    }
    bool try_lock() noexcept SLUICE_TRY_ACQUIRE(true) {
        return !locked_.load(std::memory_order_relaxed) &&
               !locked_.exchange(true, std::memory_order_acquire);
    }
    void unlock() noexcept SLUICE_RELEASE_LOCK() {
        locked_.store(false, std::memory_order_release);
    }

  private:
    void lock_slowly() noexcept SLUICE_ACQUIRE();

    std::atomic<bool> locked_{false};
};

// Holds a SpinLock for a scope.
class SLUICE_SCOPED_CAPABILITY SpinGuard {
  public:
    explicit SpinGuard(SpinLock& lock) noexcept SLUICE_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
    ~SpinGuard() SLUICE_RELEASE_LOCK() { lock_.unlock(); }
    SpinGuard(const SpinGuard&) = delete;
    SpinGuard& operator=(const SpinGuard&) = delete;

  private:
    SpinLock& lock_;
};

}  // namespace sluice
