// WaitList: the queue of those who wait at a primitive. Intrusive and doubly linked: a WaitNode
// lies on the waiting fiber's stack and is part of at most one list. Not thread-safe: the
// primitive's lock guards it. Internal to primitives (sync/waiter.h has the protocol).
#pragma once

#include <cstdint>
#include <utility>

#include "base/check.h"
#include "sync/waiter.h"

namespace sluice::sync {

struct WaitNode {
    explicit WaitNode(Waiter& owner, std::uint32_t result = 1) noexcept
        : waiter(&owner), outcome(result) {}
    ~WaitNode() { SLUICE_ASSERT(!linked); }
    WaitNode(const WaitNode&) = delete;
    WaitNode& operator=(const WaitNode&) = delete;

    WaitNode* previous = nullptr;
    WaitNode* next = nullptr;
    Waiter* const waiter;
    const std::uint32_t outcome;  // what the waiter is claimed with through this node
    bool linked = false;
};

class WaitList {
  public:
    WaitList() = default;
    ~WaitList() { SLUICE_CHECK(empty()); }
    WaitList(const WaitList&) = delete;
    WaitList& operator=(const WaitList&) = delete;

    bool empty() const noexcept { return head_ == nullptr; }
    WaitNode* front() const noexcept { return head_; }

    void push_back(WaitNode& node) noexcept {
        SLUICE_ASSERT(!node.linked);
        node.linked = true;
        node.previous = tail_;
        node.next = nullptr;
        (tail_ != nullptr ? tail_->next : head_) = &node;
        tail_ = &node;
    }

    void push_front(WaitNode& node) noexcept {
        SLUICE_ASSERT(!node.linked);
        node.linked = true;
        node.previous = nullptr;
        node.next = head_;
        (head_ != nullptr ? head_->previous : tail_) = &node;
        head_ = &node;
    }

    void remove(WaitNode& node) noexcept {
        SLUICE_ASSERT(node.linked);
        node.linked = false;
        (node.previous != nullptr ? node.previous->next : head_) = node.next;
        (node.next != nullptr ? node.next->previous : tail_) = node.previous;
    }

    void remove_if_linked(WaitNode& node) noexcept {
        if (node.linked) remove(node);
    }

    // Takes the first waiter that nobody else has claimed, claims it, and drops those before it.
    // The caller must notify() it. nullptr if there is none.
    WaitNode* pop_claimed() noexcept {
        while (WaitNode* node = head_) {
            remove(*node);
            if (node->waiter->claim(node->outcome)) return node;
        }
        return nullptr;
    }

    // Claims all into `into`, which the caller then passes to notify_all() without the lock.
    void claim_all(WaitList& into) noexcept {
        while (WaitNode* node = pop_claimed()) into.push_back(*node);
    }

    // Notifies every waiter of a list of claimed ones, and empties it.
    void notify_all() noexcept {
        while (WaitNode* node = head_) {
            remove(*node);
            node->waiter->notify();
        }
    }

  private:
    WaitNode* head_ = nullptr;
    WaitNode* tail_ = nullptr;
};

}  // namespace sluice::sync
