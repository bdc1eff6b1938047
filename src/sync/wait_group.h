// WaitGroup: a count of things under way, and waiting until it is zero. For fibers use Group, which
// also carries errors and cancellation; this one is for requests, flushes, references.
//
// add() before the thing starts, done() when it ends, on any thread or stack. Fibers wait, any
// number of them. The count may rise again later; wait() returns for each moment at zero that it
// meets. A waiter that has returned may destroy the WaitGroup if no further add() or done() will
// come.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class WaitGroup {
  public:
    void add(std::uint64_t amount = 1) noexcept;
    void done() noexcept;
    // Suspends. kCancelled, kDeadlineExceeded: from the context.
    Status wait(const Context& context = Context::background());
    std::uint64_t count() const noexcept;

  private:
    mutable SpinLock lock_;
    std::uint64_t count_ SLUICE_GUARDED_BY(lock_) = 0;
    WaitList waiters_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
