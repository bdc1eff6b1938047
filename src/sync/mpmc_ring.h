// MpmcRing<T>: a bounded lock-free queue between any number of producers and consumers: free lists,
// work handed to whoever is free. With one consumer MpscRing is cheaper; where somebody must wait,
// a Channel.
//
//   sync::MpmcRing<Buffer*> spare(256);
//   if (!spare.try_push(std::move(buffer))) delete_it();
//   if (auto buffer = spare.try_pop()) ...
//
// All calls on any thread or stack; none blocks, suspends or allocates. The capacity is a power of
// two, at least 2; memory is the elements' and 8 bytes each. First in, first out by the order of
// claims. Elements left are destroyed with the ring. Algorithm: sync/ring_core.h.
#pragma once

#include <optional>

#include "sync/ring_core.h"

namespace sluice::sync {

template <class T, template <class> class Atomic = std::atomic>
class MpmcRing final : public RingCore<T, Atomic> {
    using Core = RingCore<T, Atomic>;

  public:
    explicit MpmcRing(std::size_t capacity) : Core(capacity) {}
    ~MpmcRing() {
        while (try_pop().has_value()) {
        }
    }

    // Nothing: empty, or the next element's producer has not finished yet.
    std::optional<T> try_pop() noexcept {
        std::optional<T> element;
        std::uint64_t position = head_.load(std::memory_order_relaxed);
        for (;;) {
            // Acquire: pairs with the producer's release.
            const std::uint64_t sequence =
                this->at(position).sequence.load(std::memory_order_acquire);
            if (sequence == position + 1) {
                if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed,
                                                std::memory_order_relaxed)) {
                    this->take(position,
                               [&](T&& next) noexcept { element.emplace(std::move(next)); });
                    return element;
                }
            } else if (Core::before(sequence, position + 1)) {
                return element;
            } else {
                position = head_.load(std::memory_order_relaxed);
            }
        }
    }

  private:
    alignas(kCacheLineBytes) Atomic<std::uint64_t> head_{0};
};

}  // namespace sluice::sync
