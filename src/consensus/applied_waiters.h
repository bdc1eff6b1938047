// The applied index, and the fibers that wait for it to reach theirs.
//
// publish() is the applier's; wait() suspends the calling fiber, or returns at once (one load) if
// the index is reached. Cost of publish(): a store, plus one step for each waiter in the list. The
// list is bounded by the number of fibers.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::consensus {

class AppliedWaiters {
  public:
    explicit AppliedWaiters(std::uint64_t applied) : applied_(applied) {}

    std::uint64_t applied() const noexcept { return applied_.load(std::memory_order_acquire); }
    void publish(std::uint64_t applied);

    // kDeadlineExceeded; or the error that end() was called with.
    Status wait(std::uint64_t index, const sync::Context& context);

    // Nothing will be applied any more: ends all waits, present and future, with the error.
    void end(const Error& why);

  private:
    struct Node : sync::WaitNode {
        Node(sync::Waiter& waiter, std::uint64_t wanted) : WaitNode(waiter), index(wanted) {}
        const std::uint64_t index;
    };

    void wake(std::uint64_t up_to);

    std::atomic<std::uint64_t> applied_;  // release in publish() pairs with acquire in applied()
    std::atomic<std::uint64_t> smallest_{UINT64_MAX};  // index waited for; written under the lock
    SpinLock lock_;
    sync::WaitList waiters_ SLUICE_GUARDED_BY(lock_);
    std::optional<Error> ended_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::consensus
