#include "consensus/applied_waiters.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::consensus {
namespace {

constexpr std::uint32_t kReached = 1;
constexpr std::uint64_t kAll = UINT64_MAX;

}  // namespace

void AppliedWaiters::publish(std::uint64_t applied) {
    SLUICE_ASSERT(applied >= applied_.load(std::memory_order_relaxed));
    // Sequentially consistent, as are the stores and loads in wait(): either the waiter sees the
    // new index, or this sees the waiter.
    applied_.store(applied, std::memory_order_seq_cst);
    if (smallest_.load(std::memory_order_seq_cst) <= applied) wake(applied);
}

void AppliedWaiters::wake(std::uint64_t up_to) {
    sync::WaitList woken;
    {
        SpinGuard guard(lock_);
        std::uint64_t smallest = kAll;
        for (sync::WaitNode* at = waiters_.front(); at != nullptr;) {
            sync::WaitNode* const next = at->next;
            const std::uint64_t index = static_cast<Node*>(at)->index;
            if (index <= up_to) {
                waiters_.remove(*at);
                if (at->waiter->claim(kReached)) woken.push_back(*at);
            } else {
                smallest = std::min(smallest, index);
            }
            at = next;
        }
        smallest_.store(smallest, std::memory_order_seq_cst);
    }
    while (sync::WaitNode* node = woken.front()) {
        sync::Waiter* const waiter = node->waiter;
        woken.remove(*node);
        waiter->notify();  // the node may be gone now
    }
}

void AppliedWaiters::end(const Error& why) {
    {
        SpinGuard guard(lock_);
        if (!ended_) ended_ = why;
    }
    wake(kAll);
}

Status AppliedWaiters::wait(std::uint64_t index, const sync::Context& context) {
    if (applied() >= index) return {};
    sync::Waiter waiter;
    Node node(waiter, index);
    {
        SpinGuard guard(lock_);
        if (ended_) return fail(*ended_);
        waiters_.push_back(node);
        const std::uint64_t smallest = smallest_.load(std::memory_order_relaxed);
        smallest_.store(std::min(smallest, index), std::memory_order_seq_cst);
    }
    // It may have been reached before the list had the node; then publish() did not look.
    if (applied_.load(std::memory_order_seq_cst) >= index) wake(applied());
    const std::uint32_t outcome = waiter.wait(context, rt::WaitReason::kRead);
    SpinGuard guard(lock_);
    if (node.linked) waiters_.remove(node);
    if (applied() >= index) return {};
    if (outcome == sync::Waiter::kCancelled) return context.status();
    SLUICE_CHECK(ended_.has_value());
    return fail(*ended_);
}

}  // namespace sluice::consensus
