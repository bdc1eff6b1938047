// MpscRing<T>: a bounded lock-free queue from many producers to one consumer. For hot paths between
// threads or workers where nobody waits at the queue itself: a log, a trace, a batch collector.
// Who must wait takes a Channel, or puts a Notify (sync/event.h) beside the ring.
//
//   sync::MpscRing<Line> lines(4096);
//   if (!lines.try_push(std::move(line))) dropped.add(1);
//   lines.pop_batch([&](Line&& line) { write(line); }, 256);   // the consumer's thread
//
// try_push() may be called on any thread or stack; the pops by one consumer at a time (handing the
// role over needs a happens-before of the caller's). None blocks, suspends or allocates. Elements
// of one producer come in its order. A ring of n elements is a power of two, n >= 2; memory is the
// elements' and 8 bytes each. Elements left are destroyed with the ring.
//
// Cost and comparison with a ring under a mutex: docs/sync.md. Algorithm: sync/ring_core.h.
#pragma once

#include <optional>

#include "sync/ring_core.h"

namespace sluice::sync {

template <class T, template <class> class Atomic = std::atomic>
class MpscRing final : public RingCore<T, Atomic> {
    using Core = RingCore<T, Atomic>;

  public:
    explicit MpscRing(std::size_t capacity) : Core(capacity) {}
    ~MpscRing() {
        pop_batch([](T&&) noexcept {}, this->capacity());
    }

    // The consumer. Nothing: empty, or the next element's producer has not finished yet.
    std::optional<T> try_pop() noexcept {
        std::optional<T> element;
        pop_batch([&](T&& next) noexcept { element.emplace(std::move(next)); }, 1);
        return element;
    }

    // The consumer: sink(T&&) for up to `most` elements, in order; how many they were. A cell is
    // free for producers as soon as its sink() has returned; sink must not throw.
    template <class Sink>
    std::size_t pop_batch(Sink&& sink, std::size_t most) noexcept {
        std::size_t count = 0;
        for (; count < most; ++count) {
            // Acquire: pairs with the producer's release.
            const std::uint64_t sequence = this->at(head_).sequence.load(std::memory_order_acquire);
            if (sequence != head_ + 1) break;
            this->take(head_, sink);
            ++head_;
        }
        return count;
    }

  private:
    alignas(kCacheLineBytes) std::uint64_t head_ = 0;  // the consumer's
};

}  // namespace sluice::sync
