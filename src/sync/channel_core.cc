#include "sync/channel_core.h"

#include "base/check.h"

namespace sluice::sync {

ChannelResult ChannelCore::send_locked(void* element, Node** peer) noexcept {
    *peer = nullptr;
    if (closed_) return ChannelResult::kClosed;
    if (WaitNode* receiver = receivers_.pop_claimed()) {
        SLUICE_ASSERT(count_ == 0);
        *peer = static_cast<Node*>(receiver);
        return ChannelResult::kDone;
    }
    if (count_ == capacity_) return ChannelResult::kWouldWait;
    push(element);
    ++count_;
    return ChannelResult::kDone;
}

// The receiver is claimed: until it is notified it stays parked and its target is ours, so the
// element moves without the lock.
void ChannelCore::finish_send(void* element, Node* receiver) noexcept {
    if (receiver == nullptr) return;
    move(element, receiver->value);
    receiver->transferred = true;
    receiver->waiter->notify();
}

ChannelResult ChannelCore::receive_locked(void* target, Node** peer) noexcept {
    *peer = nullptr;
    if (count_ > 0) {
        pop(target);
        --count_;
        if (WaitNode* sender = senders_.pop_claimed()) {
            *peer = static_cast<Node*>(sender);
            push((*peer)->value);
            ++count_;
        }
        return ChannelResult::kDone;
    }
    if (WaitNode* sender = senders_.pop_claimed()) {
        SLUICE_ASSERT(capacity_ == 0 && !closed_);
        *peer = static_cast<Node*>(sender);
        move((*peer)->value, target);
        return ChannelResult::kDone;
    }
    return closed_ ? ChannelResult::kClosed : ChannelResult::kWouldWait;
}

void ChannelCore::finish_receive(Node* sender) noexcept {
    if (sender == nullptr) return;
    sender->transferred = true;
    sender->waiter->notify();
}

ChannelResult ChannelCore::try_send(void* element) noexcept {
    Node* receiver = nullptr;
    ChannelResult result;
    {
        SpinGuard guard(lock_);
        result = send_locked(element, &receiver);
    }
    finish_send(element, receiver);
    return result;
}

ChannelResult ChannelCore::try_receive(void* target) noexcept {
    Node* sender = nullptr;
    ChannelResult result;
    {
        SpinGuard guard(lock_);
        result = receive_locked(target, &sender);
    }
    finish_receive(sender);
    return result;
}

ChannelResult ChannelCore::send(void* element, const Context& context) {
    const ChannelResult now = try_send(element);
    if (now != ChannelResult::kWouldWait) {
        rt::checkpoint();
        return now;
    }
    Waiter waiter;
    Node node(waiter, element);
    Node* receiver = nullptr;
    {
        SpinGuard guard(lock_);
        const ChannelResult again = send_locked(element, &receiver);
        if (again == ChannelResult::kWouldWait) {
            senders_.push_back(node);
        } else if (receiver == nullptr) {
            return again;
        }
    }
    if (receiver != nullptr) {
        finish_send(element, receiver);
        return ChannelResult::kDone;
    }
    if (waiter.wait(context, rt::WaitReason::kChannel, this) == Waiter::kCancelled) {
        SpinGuard guard(lock_);
        senders_.remove_if_linked(node);
        return ChannelResult::kCancelled;
    }
    return node.transferred ? ChannelResult::kDone : ChannelResult::kClosed;
}

ChannelResult ChannelCore::receive(void* target, const Context& context) {
    const ChannelResult now = try_receive(target);
    if (now != ChannelResult::kWouldWait) {
        rt::checkpoint();
        return now;
    }
    Waiter waiter;
    Node node(waiter, target);
    Node* sender = nullptr;
    {
        SpinGuard guard(lock_);
        const ChannelResult again = receive_locked(target, &sender);
        if (again == ChannelResult::kWouldWait) {
            receivers_.push_back(node);
        } else if (sender == nullptr) {
            return again;
        }
    }
    if (sender != nullptr) {
        finish_receive(sender);
        return ChannelResult::kDone;
    }
    if (waiter.wait(context, rt::WaitReason::kChannel, this) == Waiter::kCancelled) {
        SpinGuard guard(lock_);
        receivers_.remove_if_linked(node);
        return ChannelResult::kCancelled;
    }
    return node.transferred ? ChannelResult::kDone : ChannelResult::kClosed;
}

void ChannelCore::close() noexcept {
    WaitList claimed;
    {
        SpinGuard guard(lock_);
        closed_ = true;
        receivers_.claim_all(claimed);
        senders_.claim_all(claimed);
    }
    claimed.notify_all();
}

bool ChannelCore::closed() const noexcept {
    SpinGuard guard(lock_);
    return closed_;
}

std::size_t ChannelCore::size() const noexcept {
    SpinGuard guard(lock_);
    return count_;
}

}  // namespace sluice::sync
