// Inbox: fibers that other threads have started on a certain worker. Many producers push without a
// lock; the worker takes all at once. (A Treiber stack whose consumer only exchanges the head: no
// ABA. Sequentially consistent, because parking workers look at it: see Scheduler.)
#pragma once

#include <atomic>

#include "base/check.h"
#include "rt/park.h"

namespace sluice::rt {

class Inbox {
  public:
    ~Inbox() { SLUICE_CHECK(empty()); }

    bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

    // Any thread.
    void push(Fiber* fiber) noexcept {
        SLUICE_ASSERT(fiber->next_ == nullptr);
        Fiber* head = head_.load(std::memory_order_relaxed);
        do {
            fiber->next_ = head;
        } while (!head_.compare_exchange_weak(head, fiber, std::memory_order_seq_cst,
                                              std::memory_order_relaxed));
    }

    // The owner: appends all to `out`, the oldest first.
    void take_all(FiberList& out) noexcept {
        if (empty()) return;
        Fiber* fiber = head_.exchange(nullptr, std::memory_order_acquire);
        FiberList oldest_first;
        while (fiber != nullptr) {
            Fiber* older = std::exchange(fiber->next_, nullptr);
            oldest_first.push_front(fiber);
            fiber = older;
        }
        out.append(std::move(oldest_first));
    }

  private:
    std::atomic<Fiber*> head_{nullptr};
};

}  // namespace sluice::rt
