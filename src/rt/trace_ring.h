// TraceRing: the last limits::kTraceRingEvents events of one writer. Always on.
//
// One thread writes, any thread reads meanwhile and gets what was whole: a reader copies, then
// looks how far the writer has come and drops what may have been overwritten. Nothing blocks or
// suspends. Cost: record() about 3 ns (rt_bench: trace_record), 32 bytes an event; memory is
// touched as the ring fills. docs/decisions/0009-runtime-seeing.md says why it is built like this.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/limits.h"
#include "rt/trace_event.h"

namespace sluice::rt {

class TraceRing {
  public:
    // `worker` is what read() puts into the events.
    explicit TraceRing(std::uint16_t worker);

    // The writer.
    void record(TraceKind kind, Ticks ticks, std::uint64_t fiber, std::uint64_t other = 0,
                WaitReason reason = WaitReason::kOther, std::uint32_t detail = 0) noexcept {
        const std::uint64_t number = next_.load(std::memory_order_relaxed);
        Slot& slot = slots_[number % limits::kTraceRingEvents];
        // A reader who sees a word of this event also sees that the ring has come to it.
        std::atomic_thread_fence(std::memory_order_release);
        slot[0].store(ticks, std::memory_order_relaxed);
        slot[1].store(fiber, std::memory_order_relaxed);
        slot[2].store(other, std::memory_order_relaxed);
        slot[3].store(std::uint64_t{detail} << 32 | static_cast<std::uint64_t>(reason) << 8 |
                          static_cast<std::uint64_t>(kind),
                      std::memory_order_relaxed);
        next_.store(number + 1, std::memory_order_release);
    }

    // A switch from a fiber that gave way to the next one, in one slot: read() makes it a kYield
    // and a kRun of the same number. yielded: 0 if nobody gave way.
    void record_run(Ticks ticks, std::uint64_t fiber, std::uint64_t yielded) noexcept {
        record(TraceKind::kRun, ticks, fiber, yielded);
    }

    // Any thread. Makes `out` the events that are still there, the oldest first.
    void read(std::vector<TraceEvent>& out) const;

    // How many were ever recorded. Any thread.
    std::uint64_t recorded() const noexcept { return next_.load(std::memory_order_acquire); }

  private:
    using Slot = std::array<std::atomic<std::uint64_t>, 4>;

    const std::uint16_t worker_;
    std::atomic<std::uint64_t> next_{0};
    std::unique_ptr<Slot[]> slots_;
};

}  // namespace sluice::rt
