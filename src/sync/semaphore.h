// Semaphore: a number of permits, for bounding how many do something at a time.
//
// Served strictly in order of arrival: a large request at the head is not overtaken by small ones,
// so nobody starves. Fibers acquire; any thread or stack may release. Cost without waiting: one
// spin lock, about 10 ns.
//
//   SLUICE_TRY(slots.acquire(1, context));
//   ...
//   slots.release(1);
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class Semaphore {
  public:
    explicit Semaphore(std::uint64_t permits) noexcept : free_(permits) {}

    // Suspends until the permits are there. An amount above what was ever put in waits for ever.
    // kCancelled, kDeadlineExceeded: nothing was taken.
    Status acquire(std::uint64_t amount = 1, const Context& context = Context::background());
    // False if it would have to wait.
    bool try_acquire(std::uint64_t amount = 1) noexcept;
    void release(std::uint64_t amount = 1) noexcept;

    // Free now; for statistics.
    std::uint64_t available() const noexcept;

  private:
    struct Node;

    void grant(WaitList& granted) noexcept SLUICE_REQUIRES(lock_);

    mutable SpinLock lock_;
    std::uint64_t free_ SLUICE_GUARDED_BY(lock_);
    WaitList waiters_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
