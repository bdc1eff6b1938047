#include "sync/semaphore.h"

namespace sluice::sync {

struct Semaphore::Node final : WaitNode {
    Node(Waiter& owner, std::uint64_t wanted) noexcept : WaitNode(owner), amount(wanted) {}
    const std::uint64_t amount;
};

Status Semaphore::acquire(std::uint64_t amount, const Context& context) {
    if (try_acquire(amount)) {
        rt::checkpoint();
        return {};
    }
    Waiter waiter;
    Node node(waiter, amount);
    {
        SpinGuard guard(lock_);
        if (waiters_.empty() && free_ >= amount) {
            free_ -= amount;
            return {};
        }
        waiters_.push_back(node);
    }
    if (waiter.wait(context, rt::WaitReason::kOther, this) != Waiter::kCancelled) return {};
    // The head may have gone away in front of smaller requests.
    WaitList granted;
    {
        SpinGuard guard(lock_);
        waiters_.remove_if_linked(node);
        grant(granted);
    }
    granted.notify_all();
    return context.status();
}

bool Semaphore::try_acquire(std::uint64_t amount) noexcept {
    SpinGuard guard(lock_);
    if (!waiters_.empty() || free_ < amount) return false;
    free_ -= amount;
    return true;
}

void Semaphore::release(std::uint64_t amount) noexcept {
    WaitList granted;
    {
        SpinGuard guard(lock_);
        free_ += amount;
        SLUICE_ASSERT(free_ >= amount);
        grant(granted);
    }
    granted.notify_all();
}

std::uint64_t Semaphore::available() const noexcept {
    SpinGuard guard(lock_);
    return free_;
}

// Serves waiters from the head for as long as the permits last. Cancelled ones are dropped.
void Semaphore::grant(WaitList& granted) noexcept {
    while (!waiters_.empty()) {
        Node& node = static_cast<Node&>(*waiters_.front());
        if (node.amount > free_) return;
        waiters_.remove(node);
        if (!node.waiter->claim(node.outcome)) continue;
        free_ -= node.amount;
        granted.push_back(node);
    }
}

}  // namespace sluice::sync
