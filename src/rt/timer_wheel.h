// TimerWheel: where far timers wait, when there are many: adding and removing cost the same however
// many there are. A hierarchical timing wheel (Varghese and Lauck 1987) as TimerHeap's second
// store; TimerHeap's lock guards it.
//
// Time is cut into ticks of 2^24 ns (16.8 ms). Level l has 64 slots of 64^l ticks; a timer lies at
// the level of the highest base-64 digit in which its tick differs from the current one, in the
// slot of its tick's digit there. When time reaches a slot, its timers move to lower levels, and
// those of the reached tick out of the wheel. So nothing is sorted here: exact order is the heap's
// affair, which gets every timer before it is due.
//
// A slot can hold all timers there are. So that emptying it holds up nobody, at most
// limits::kTimerCascadeMax timers move in one advance(); the rest is `pending`, and the caller must
// not run later timers until it has caught up.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "rt/timer.h"

namespace sluice::rt {

// A timer in either store.
struct TimerEntry {
    TimeNs deadline_ns;
    std::uint64_t sequence;  // of arming: order among equal deadlines
    Timer* timer;
    bool before(const TimerEntry& other) const noexcept {
        return deadline_ns != other.deadline_ns ? deadline_ns < other.deadline_ns
                                                : sequence < other.sequence;
    }
};

class TimerWheel {
  public:
    bool empty() const noexcept { return size_ == 0; }

    // False: its tick is not after the current one; the caller keeps it.
    bool add(const TimerEntry& entry);
    void remove(Timer& timer) noexcept;

    // Goes on to now_ns; out(entry) for each timer that leaves the wheel. True: all whose tick has
    // been reached have left. False: pending ones are left, none due before reached_ns().
    template <class Out>
    bool advance(TimeNs now_ns, Out&& out);

    // The start of the current tick.
    TimeNs reached_ns() const noexcept { return tick_ << kTickBits; }
    // When to call advance() next; kNever when empty.
    TimeNs next_ns() const noexcept;

  private:
    static constexpr unsigned kTickBits = 24;
    static constexpr unsigned kDigitBits = 6;
    static constexpr unsigned kSlots = 1U << kDigitBits;
    static constexpr unsigned kLevels = 7;  // 39 bits of ticks: up to kNever
    static constexpr unsigned kPending = kLevels * kSlots;

    static TimeNs tick_of(TimeNs ns) noexcept { return ns > 0 ? ns >> kTickBits : 0; }
    struct Place {
        unsigned slot = 0;
        TimeNs tick = INT64_MAX;  // its first
    };
    // The slot that time reaches first; tick INT64_MAX if all are empty.
    Place first() const noexcept;
    void push(unsigned slot, const TimerEntry& entry);

    // A slot's index is level * kSlots + digit; the last is what advance() is emptying.
    std::array<std::vector<TimerEntry>, kPending + 1> slots_;
    std::array<std::uint64_t, kLevels> occupied_{};  // a bit for each slot of a level
    TimeNs tick_ = 0;                                // the current one
    std::size_t size_ = 0;
};

template <class Out>
bool TimerWheel::advance(TimeNs now_ns, Out&& out) {
    const TimeNs now_tick = tick_of(now_ns);
    std::vector<TimerEntry>& pending = slots_[kPending];
    for (std::size_t budget = limits::kTimerCascadeMax;;) {
        for (; !pending.empty(); --budget) {
            if (budget == 0) return false;
            const TimerEntry entry = pending.back();
            pending.pop_back();
            --size_;
            if (!add(entry)) out(entry);
        }
        if (pending.capacity() > limits::kTimerCascadeMax) pending = {};
        const Place next = first();
        if (next.tick > now_tick) break;
        SLUICE_ASSERT(next.tick > tick_);
        tick_ = next.tick;
        occupied_[next.slot / kSlots] &= ~(std::uint64_t{1} << next.slot % kSlots);
        std::swap(slots_[next.slot], pending);
        for (std::size_t i = 0; i < pending.size(); ++i) pending[i].timer->slot_ = kPending;
    }
    if (now_tick > tick_) tick_ = now_tick;
    return true;
}

}  // namespace sluice::rt
