#include "rt/timer_wheel.h"

namespace sluice::rt {

bool TimerWheel::add(const TimerEntry& entry) {
    const TimeNs tick = tick_of(entry.deadline_ns);
    if (tick <= tick_) return false;
    const auto difference = static_cast<std::uint64_t>(tick ^ tick_);
    const unsigned level = (static_cast<unsigned>(std::bit_width(difference)) - 1) / kDigitBits;
    SLUICE_ASSERT(level < kLevels);
    const auto digit = static_cast<unsigned>(tick >> (level * kDigitBits)) % kSlots;
    occupied_[level] |= std::uint64_t{1} << digit;
    push(level * kSlots + digit, entry);
    return true;
}

void TimerWheel::push(unsigned slot, const TimerEntry& entry) {
    std::vector<TimerEntry>& entries = slots_[slot];
    entry.timer->slot_ = static_cast<std::uint16_t>(slot);
    entry.timer->index_.store(static_cast<std::uint32_t>(entries.size()),
                              std::memory_order_release);
    entries.push_back(entry);
    ++size_;
}

// The slot's last entry takes its place.
void TimerWheel::remove(Timer& timer) noexcept {
    const unsigned slot = timer.slot_;
    std::vector<TimerEntry>& entries = slots_[slot];
    const std::uint32_t index = timer.index_.load(std::memory_order_relaxed);
    SLUICE_ASSERT(index < entries.size() && entries[index].timer == &timer);
    entries[index] = entries.back();
    entries[index].timer->index_.store(index, std::memory_order_release);
    entries.pop_back();
    timer.index_.store(Timer::kNotArmed, std::memory_order_release);
    --size_;
    if (!entries.empty()) return;
    if (entries.capacity() > limits::kTimerCascadeMax) entries = {};
    if (slot != kPending) {
        occupied_[slot / kSlots] &= ~(std::uint64_t{1} << slot % kSlots);
    }
}

// All occupied slots of a level have digits above the current tick's there, and lie before those of
// higher levels.
TimerWheel::Place TimerWheel::first() const noexcept {
    for (unsigned level = 0; level < kLevels; ++level) {
        if (occupied_[level] == 0) continue;
        const auto digit = static_cast<unsigned>(std::countr_zero(occupied_[level]));
        const unsigned shift = level * kDigitBits;
        const TimeNs above = tick_ >> (shift + kDigitBits) << (shift + kDigitBits);
        return {level * kSlots + digit, above | TimeNs{digit} << shift};
    }
    return {};
}

TimeNs TimerWheel::next_ns() const noexcept {
    if (size_ == 0) return kNever;
    if (!slots_[kPending].empty()) return reached_ns();
    return first().tick << kTickBits;
}

}  // namespace sluice::rt
