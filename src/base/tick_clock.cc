#include "base/tick_clock.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "base/check.h"
#include "base/limits.h"

namespace sluice {

TickClock::Source TickClock::best_source() noexcept {
#if defined(__x86_64__)
    constexpr unsigned kPowerLeaf = 0x80000007;  // Intel SDM vol. 2A, CPUID
    constexpr unsigned kInvariantBit = 1u << 8;  // EDX: the counter runs at one rate in all states
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(kPowerLeaf, &eax, &ebx, &ecx, &edx) != 0 && (edx & kInvariantBit) != 0)
        return Source::kHardware;
    return Source::kClock;
#elif defined(__aarch64__)
    return Source::kHardware;
#else
    return Source::kClock;
#endif
}

TickClock::TickClock(const Clock& clock, Source source) : clock_(clock), source_(source) {
    if (source_ == Source::kClock) return;
    start_ = read_both();
    while (clock_.now_ns() - start_.ns < limits::kTickCalibrationNs) {
    }
    recalibrate();
}

TickClock::Reading TickClock::read_both() const noexcept {
    Reading best{};
    Ticks least = UINT64_MAX;
    for (unsigned i = 0; i < limits::kTickReadings; ++i) {
        const Ticks before = read_counter();
        const TimeNs now_ns = clock_.now_ns();
        const Ticks took = read_counter() - before;
        if (took >= least) continue;
        least = took;
        best = {.ns = now_ns, .ticks = before + took / 2};
    }
    return best;
}

void TickClock::recalibrate() noexcept {
    if (source_ == Source::kClock) return;
    const Reading now = read_both();
    const TimeNs elapsed_ns = now.ns - start_.ns;
    const Ticks elapsed_ticks = now.ticks - start_.ticks;
    if (elapsed_ns <= 0 || elapsed_ticks == 0) return;
    const auto rate = (static_cast<unsigned __int128>(elapsed_ns) << 32) / elapsed_ticks;
    SLUICE_ASSERT(rate > 0);
    SLUICE_ASSERT(rate <= UINT64_MAX);
    ns_per_tick_q32_.store(static_cast<std::uint64_t>(rate), std::memory_order_relaxed);
}

}  // namespace sluice
