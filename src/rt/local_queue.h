// LocalQueue: a worker's bounded queue of runnable fibers. Its owner pushes at the tail and pops at
// the head; any other worker may steal half of it from the head.
//
// The ring of Go's scheduler (runtime/proc.go: runqput, runqget, runqgrab): `tail_` is written by
// the owner only, `head_` moves by compare-and-swap, since owner and thieves both take there. A
// slot is read before the swap that claims it; if the swap fails the value is thrown away. Indices
// run freely and wrap by masking.
//
// Orders: a pusher's release store of tail_ pairs with a taker's acquire load of it (the slot and
// the fiber behind it are visible); a taker's release swap of head_ pairs with the pusher's acquire
// load of head_ (the slot has been read before it is written again).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "base/limits.h"
#include "rt/park.h"

namespace sluice::rt {

class LocalQueue {
  public:
    static constexpr std::uint32_t kSlots = limits::kRunQueueSlots;

    LocalQueue() = default;
    LocalQueue(const LocalQueue&) = delete;
    LocalQueue& operator=(const LocalQueue&) = delete;
    ~LocalQueue() { SLUICE_CHECK(size() == 0); }

    // Any worker; exact for the owner, a snapshot for others.
    std::uint32_t size() const noexcept {
        const std::uint32_t head = head_.load(std::memory_order_seq_cst);
        const std::uint32_t tail = tail_.load(std::memory_order_seq_cst);
        const std::uint32_t count = tail - head;
        return count <= kSlots ? count : 0;  // torn: the owner is popping right now
    }

    // The owner. False: full.
    bool push(Fiber* fiber) noexcept {
        const std::uint32_t head = head_.load(std::memory_order_acquire);
        const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        SLUICE_ASSERT(tail - head <= kSlots);
        if (tail - head == kSlots) return false;
        slots_[tail % kSlots].store(fiber, std::memory_order_relaxed);
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    // The owner. nullptr: empty.
    Fiber* pop() noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        while (head != tail) {
            Fiber* fiber = slots_[head % kSlots].load(std::memory_order_relaxed);
            if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
                return fiber;
            }
        }
        return nullptr;
    }

    // The owner, when push() failed: moves the older half to `out`. May move nothing, if thieves
    // came first; then there is room.
    void take_half(FiberList& out) noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        const std::uint32_t count = (tail_.load(std::memory_order_relaxed) - head) / 2;
        if (count != kSlots / 2) return;
        Fiber* taken[kSlots / 2];
        for (std::uint32_t i = 0; i < count; ++i) {
            taken[i] = slots_[(head + i) % kSlots].load(std::memory_order_relaxed);
        }
        if (!head_.compare_exchange_strong(head, head + count, std::memory_order_acq_rel)) return;
        for (std::uint32_t i = 0; i < count; ++i) out.push_back(taken[i]);
    }

    // The owner of `mine` (which must be empty) takes half of this queue, rounded up: all but the
    // last go to `mine`, the last is returned. nullptr: nothing to steal. `stolen` receives the
    // number.
    Fiber* steal_into(LocalQueue& mine, std::uint32_t& stolen) noexcept {
        std::uint32_t head = head_.load(std::memory_order_acquire);
        const std::uint32_t my_tail = mine.tail_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint32_t tail = tail_.load(std::memory_order_acquire);
            std::uint32_t count = tail - head;
            count -= count / 2;
            stolen = count;
            if (count == 0) return nullptr;
            if (count > kSlots / 2) {  // head and tail were read apart
                head = head_.load(std::memory_order_acquire);
                continue;
            }
            for (std::uint32_t i = 0; i < count; ++i) {
                Fiber* fiber = slots_[(head + i) % kSlots].load(std::memory_order_relaxed);
                mine.slots_[(my_tail + i) % kSlots].store(fiber, std::memory_order_relaxed);
            }
            if (head_.compare_exchange_strong(head, head + count, std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
                mine.tail_.store(my_tail + count - 1, std::memory_order_release);
                return mine.slots_[(my_tail + count - 1) % kSlots].load(std::memory_order_relaxed);
            }
        }
    }

  private:
    alignas(64) std::atomic<std::uint32_t> head_{0};
    alignas(64) std::atomic<std::uint32_t> tail_{0};
    std::atomic<Fiber*> slots_[kSlots] = {};
};

}  // namespace sluice::rt
