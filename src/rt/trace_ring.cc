#include "rt/trace_ring.h"

#include <algorithm>
#include <utility>

namespace sluice::rt {

static_assert((limits::kTraceRingEvents & (limits::kTraceRingEvents - 1)) == 0);

const char* trace_kind_name(TraceKind kind) noexcept {
    switch (kind) {
        case TraceKind::kCreate:
            return "create";
        case TraceKind::kReady:
            return "ready";
        case TraceKind::kRun:
            return "run";
        case TraceKind::kYield:
            return "yield";
        case TraceKind::kPark:
            return "park";
        case TraceKind::kEnd:
            return "end";
        case TraceKind::kBlockingBegin:
            return "blocking begin";
        case TraceKind::kBlockingEnd:
            return "blocking end";
        case TraceKind::kIoSubmit:
            return "io submit";
        case TraceKind::kIoComplete:
            return "io complete";
    }
    return "?";
}

TraceRing::TraceRing(std::uint16_t worker)
    : worker_(worker), slots_(std::make_unique<Slot[]>(limits::kTraceRingEvents)) {}

void TraceRing::read(std::vector<TraceEvent>& out) const {
    const std::uint64_t end = next_.load(std::memory_order_acquire);
    const std::uint64_t begin = end - std::min<std::uint64_t>(end, limits::kTraceRingEvents);
    out.clear();
    out.reserve(end - begin);
    for (std::uint64_t number = begin; number < end; ++number) {
        const Slot& slot = slots_[number % limits::kTraceRingEvents];
        const std::uint64_t packed = slot[3].load(std::memory_order_relaxed);
        TraceEvent event{.ticks = slot[0].load(std::memory_order_relaxed),
                         .number = number,
                         .fiber = slot[1].load(std::memory_order_relaxed),
                         .other = slot[2].load(std::memory_order_relaxed),
                         .detail = static_cast<std::uint32_t>(packed >> 32),
                         .worker = worker_,
                         .kind = static_cast<TraceKind>(packed & 0xff),
                         .reason = static_cast<WaitReason>(packed >> 8 & 0xff)};
        if (event.kind == TraceKind::kRun && event.other != 0) {
            TraceEvent yield = event;
            yield.kind = TraceKind::kYield;
            yield.fiber = std::exchange(event.other, 0);
            out.push_back(yield);
        }
        out.push_back(event);
    }
    // Event `now` is perhaps being written: in its slot lay the one a whole ring before.
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t now = next_.load(std::memory_order_relaxed);
    const std::uint64_t whole_from =
        now < limits::kTraceRingEvents ? 0 : now - limits::kTraceRingEvents + 1;
    std::erase_if(out, [&](const TraceEvent& event) { return event.number < whole_from; });
    // A stamp may be older than the one before it: some are taken at the last switch.
    for (std::size_t i = 1; i < out.size(); ++i) {
        out[i].ticks = std::max(out[i].ticks, out[i - 1].ticks);
    }
}

}  // namespace sluice::rt
