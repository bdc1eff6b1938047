// What MpscRing and MpmcRing share: the array of cells and the producers' side.
//
// The algorithm is Dmitry Vyukov's bounded queue (1024cores.net, 2010). Each cell has a sequence
// number that says whose turn it is; position p uses cell p mod capacity:
//
//      sequence == p               free for the producer of position p
//      sequence == p + 1           filled, for the consumer of position p
//      sequence == p + capacity    emptied: free for the producer one round later
//
// A producer claims a position by a compare-and-swap of tail_, fills the cell and then publishes it
// by its sequence. So producers do not wait for each other; but one that is stopped between the two
// holds back what consumers can see behind its cell.
//
// The template parameter Atomic is std::atomic; tests put in model::Atomic
// (arch/interleavings_testing.h) and run every interleaving.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace sluice::sync {

inline constexpr std::size_t kCacheLineBytes = 64;

template <class T, template <class> class Atomic>
class RingCore {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>);

  public:
    RingCore(const RingCore&) = delete;
    RingCore& operator=(const RingCore&) = delete;

    std::size_t capacity() const noexcept { return mask_ + 1; }

    // False: full, and `element` is untouched. Any thread; never blocks or suspends.
    bool try_push(T&& element) noexcept {
        std::uint64_t position = tail_.load(std::memory_order_relaxed);
        for (;;) {
            Cell& cell = at(position);
            // Acquire: the consumer that emptied the cell is done with it.
            const std::uint64_t sequence = cell.sequence.load(std::memory_order_acquire);
            if (sequence == position) {
                if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed,
                                                std::memory_order_relaxed)) {
                    new (cell.bytes) T(std::move(element));
                    // Release: pairs with the consumer's acquire.
                    cell.sequence.store(position + 1, std::memory_order_release);
                    return true;
                }
            } else if (before(sequence, position)) {
                return false;
            } else {
                position = tail_.load(std::memory_order_relaxed);
            }
        }
    }

  protected:
    struct Cell {
        Atomic<std::uint64_t> sequence{0};
        alignas(T) std::byte bytes[sizeof(T)];
        T* value() noexcept { return std::launder(reinterpret_cast<T*>(bytes)); }
    };

    // A power of two, at least 2.
    explicit RingCore(std::size_t capacity) : mask_(capacity - 1), cells_(new Cell[capacity]) {
        SLUICE_CHECK(capacity >= 2 && std::has_single_bit(capacity));
        for (std::size_t i = 0; i < capacity; ++i) {
            cells_[i].sequence.store(i, std::memory_order_relaxed);
        }
    }
    ~RingCore() = default;

    Cell& at(std::uint64_t position) noexcept { return cells_[position & mask_]; }

    // In the order of positions, which wrap around at 2^64.
    static bool before(std::uint64_t a, std::uint64_t b) noexcept {
        return static_cast<std::int64_t>(a - b) < 0;
    }

    // Moves the element of `position` out of its cell and frees that for the next round.
    template <class Target>
    void take(std::uint64_t position, Target&& target) noexcept {
        Cell& cell = at(position);
        T* const value = cell.value();
        target(std::move(*value));
        value->~T();
        cell.sequence.store(position + capacity(), std::memory_order_release);
    }

    const std::uint64_t mask_;
    const std::unique_ptr<Cell[]> cells_;
    alignas(kCacheLineBytes) Atomic<std::uint64_t> tail_{0};
    // Whatever the ring declares next, its head_, begins a cache line of its own.
};

}  // namespace sluice::sync
