#include "sync/event.h"

#include <utility>

namespace sluice::sync {

void Event::set() noexcept {
    WaitList claimed;
    {
        SpinGuard guard(lock_);
        set_ = true;
        waiters_.claim_all(claimed);
    }
    claimed.notify_all();
}

void Event::reset() noexcept {
    SpinGuard guard(lock_);
    set_ = false;
}

bool Event::is_set() const noexcept {
    SpinGuard guard(lock_);
    return set_;
}

Status Event::wait(const Context& context) {
    rt::checkpoint();
    Waiter waiter;
    WaitNode node(waiter);
    {
        SpinGuard guard(lock_);
        if (set_) return {};
        waiters_.push_back(node);
    }
    if (waiter.wait(context, rt::WaitReason::kOther, this) != Waiter::kCancelled) return {};
    SpinGuard guard(lock_);
    waiters_.remove_if_linked(node);
    return context.status();
}

void Notify::signal() noexcept {
    WaitNode* node = nullptr;
    {
        SpinGuard guard(lock_);
        node = waiters_.pop_claimed();
        if (node == nullptr) signalled_ = true;
    }
    if (node != nullptr) node->waiter->notify();
}

Status Notify::wait(const Context& context) {
    rt::checkpoint();
    Waiter waiter;
    WaitNode node(waiter);
    {
        SpinGuard guard(lock_);
        if (std::exchange(signalled_, false)) return {};
        waiters_.push_back(node);
    }
    if (waiter.wait(context, rt::WaitReason::kOther, this) != Waiter::kCancelled) return {};
    SpinGuard guard(lock_);
    waiters_.remove_if_linked(node);
    return context.status();
}

}  // namespace sluice::sync
