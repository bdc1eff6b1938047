#include "rt/simulation.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::rt {

void SimClock::advance(TimeNs duration_ns) noexcept {
    SLUICE_CHECK(duration_ns >= 0);
    now_ns_.fetch_add(duration_ns, std::memory_order_relaxed);
}

unsigned SimPoller::poll(TimeNs timeout_ns) {
    SLUICE_ASSERT(timeout_ns >= 0);
    const TimeNs event_ns = next_event_ns();
    if (timeout_ns == kNever && event_ns == kNever) {
        sleeper_.poll(kNever);
    } else if (timeout_ns > 0) {
        const TimeNs until_event_ns =
            event_ns == kNever ? kNever : std::max<TimeNs>(0, event_ns - clock_.now_ns());
        clock_.advance(std::min(timeout_ns, until_event_ns));
    }
    return run_events();
}

Options simulated(SimClock& clock, std::uint64_t seed) {
    Options options;
    options.workers = 1;
    options.make_poller = [&clock](unsigned) { return std::make_unique<SimPoller>(clock); };
    options.clock = &clock;
    options.blocking_threads_max = 0;
    options.schedule_seed = seed;
    options.monitor = false;
    return options;
}

}  // namespace sluice::rt
