#include "sync/wait_group.h"

namespace sluice::sync {

void WaitGroup::add(std::uint64_t amount) noexcept {
    SpinGuard guard(lock_);
    count_ += amount;
    SLUICE_ASSERT(count_ >= amount);
}

// The lock's release is the last access: a waiter looks at the count under the lock and may then
// destroy this.
void WaitGroup::done() noexcept {
    WaitList claimed;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(count_ > 0);
        if (--count_ == 0) waiters_.claim_all(claimed);
    }
    claimed.notify_all();
}

Status WaitGroup::wait(const Context& context) {
    rt::checkpoint();
    Waiter waiter;
    WaitNode node(waiter);
    {
        SpinGuard guard(lock_);
        if (count_ == 0) return {};
        waiters_.push_back(node);
    }
    if (waiter.wait(context, rt::WaitReason::kGroup, this) != Waiter::kCancelled) return {};
    SpinGuard guard(lock_);
    waiters_.remove_if_linked(node);
    return context.status();
}

std::uint64_t WaitGroup::count() const noexcept {
    SpinGuard guard(lock_);
    return count_;
}

}  // namespace sluice::sync
