// Where proposals wait for the loop: an intrusive lock-free list, many writers, one reader.
//
// push(): any thread; one compare-and-swap when uncontended; never suspends. take_all() and
// close(): the reader. The order of push() is kept. After close() nothing gets in. Source:
// Treiber's stack, taken whole (so there is no ABA), then reversed.
#pragma once

#include <atomic>

#include "base/check.h"
#include "consensus/node.h"

namespace sluice::consensus {

class Mailbox {
  public:
    enum class Pushed { kFirst, kBehindOthers, kClosed };

    Mailbox() = default;
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
    ~Mailbox() { SLUICE_CHECK(head_ == nullptr || head_ == closed()); }

    // kFirst: it was empty, the caller wakes the reader. After another answer than kClosed the
    // proposal is no longer the caller's to touch.
    Pushed push(Proposal* proposal) noexcept {
        Proposal* head = head_.load(std::memory_order_relaxed);
        do {
            if (head == closed()) return Pushed::kClosed;
            proposal->next_ = head;
            // Release pairs with the acquire in take().
        } while (!head_.compare_exchange_weak(head, proposal, std::memory_order_release,
                                              std::memory_order_relaxed));
        return head == nullptr ? Pushed::kFirst : Pushed::kBehindOthers;
    }

    // Oldest first, linked by next().
    Proposal* take_all() noexcept { return take(nullptr); }
    Proposal* close() noexcept { return take(closed()); }
    static Proposal* next(const Proposal* proposal) noexcept { return proposal->next_; }

  private:
    // A mark that is no proposal's address.
    Proposal* closed() const noexcept {
        return reinterpret_cast<Proposal*>(const_cast<std::atomic<Proposal*>*>(&head_));
    }

    Proposal* take(Proposal* replacement) noexcept {
        if (replacement == nullptr && head_.load(std::memory_order_relaxed) == closed()) {
            return nullptr;
        }
        Proposal* newest = head_.exchange(replacement, std::memory_order_acquire);
        if (newest == closed()) return nullptr;
        Proposal* oldest = nullptr;
        while (newest != nullptr) {
            Proposal* const older = newest->next_;
            newest->next_ = oldest;
            oldest = newest;
            newest = older;
        }
        return oldest;
    }

    std::atomic<Proposal*> head_{nullptr};
};

}  // namespace sluice::consensus
