// Semaphore: permits that threads wait for. release() takes no lock and never blocks, so a thread
// that loses its CPU holds up nobody else's release().
//
// For threads, not for fibers: acquire() blocks the calling thread. Each release() lets one
// waiter go. Cost: release() 10 ns, and a system call when somebody waits.
// Source: sem_post(3), sem_clockwait(3).
#pragma once

#include <semaphore.h>

#include "base/clock.h"

namespace sluice {

class Semaphore {
  public:
    Semaphore() noexcept;
    ~Semaphore();
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    // Any thread. At most SEM_VALUE_MAX (2^31 - 1) permits may be outstanding.
    void release() noexcept;

    // Waits for a permit and takes it.
    void acquire() noexcept;
    // False: none came within `timeout_ns`, which is not negative and not kNever.
    [[nodiscard]] bool acquire_for(TimeNs timeout_ns) noexcept;

  private:
    sem_t semaphore_;
};

}  // namespace sluice
