// std::mutex with the annotations that let the compiler check what it guards.
//
// For short critical sections that are still too long to spin on (base/spin_lock.h), on any thread.
// A fiber that waits for it blocks its worker: no holder may suspend, block on I/O, or hold it
// longer than about a millisecond. An uncontended pair costs about 15 ns.
//
//   MutexLock lock(mutex_);
#pragma once

#include <mutex>

#include "base/thread_annotations.h"

namespace sluice {

class SLUICE_CAPABILITY("Mutex") Mutex {
  public:
    void lock() SLUICE_ACQUIRE() { mutex_.lock(); }
    void unlock() SLUICE_RELEASE_LOCK() { mutex_.unlock(); }

  private:
    std::mutex mutex_;
};

// Holds a Mutex for a scope.
class SLUICE_SCOPED_CAPABILITY MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) SLUICE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() SLUICE_RELEASE_LOCK() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    Mutex& mutex_;
};

}  // namespace sluice
