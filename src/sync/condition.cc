#include "sync/condition.h"

namespace sluice::sync {

Status Condition::wait(Mutex& mutex, const Context& context) {
    Waiter waiter;
    WaitNode node(waiter);
    {
        SpinGuard guard(lock_);
        waiters_.push_back(node);
    }
    mutex.unlock();
    const std::uint32_t outcome = waiter.wait(context, rt::WaitReason::kCondition, this);
    if (outcome == Waiter::kCancelled) {
        SpinGuard guard(lock_);
        waiters_.remove_if_linked(node);
    }
    mutex.lock();
    return outcome == Waiter::kCancelled ? context.status() : Status();
}

void Condition::notify_one() noexcept {
    WaitNode* node = nullptr;
    {
        SpinGuard guard(lock_);
        node = waiters_.pop_claimed();
    }
    if (node != nullptr) node->waiter->notify();
}

void Condition::notify_all() noexcept {
    WaitList claimed;
    {
        SpinGuard guard(lock_);
        waiters_.claim_all(claimed);
    }
    claimed.notify_all();
}

}  // namespace sluice::sync
