#include "observe/runtime_metrics.h"

#include <algorithm>

namespace sluice::observe {
namespace {

struct Figure {
    std::string_view name;
    std::string_view help;
    std::uint64_t rt::Stats::* value;
};

constexpr Figure kCounters[] = {
    {"sluice_runtime_switches_total", "Fibers switched in.", &rt::Stats::switches},
    {"sluice_runtime_steals_total", "Times that a worker took work from another.",
     &rt::Stats::steals},
    {"sluice_runtime_wakes_total", "Idle workers woken by others.", &rt::Stats::wakes},
    {"sluice_runtime_parks_total", "Workers gone idle.", &rt::Stats::parks},
    {"sluice_runtime_polls_total", "Looks at I/O.", &rt::Stats::polls},
    {"sluice_runtime_timers_for_others_total", "Timers run on behalf of a busy worker.",
     &rt::Stats::timers_fired_for_others},
    {"sluice_runtime_events_for_others_total", "I/O events served on behalf of a busy worker.",
     &rt::Stats::events_for_others},
    {"sluice_runtime_yields_forced_total", "Fibers that the monitor made yield.",
     &rt::Stats::yields_forced},
    {"sluice_runtime_stalls_total", "Turns of a fiber that lasted too long for the others.",
     &rt::Stats::stalls},
    {"sluice_runtime_stalls_suppressed_total", "Of these, not reported in the log.",
     &rt::Stats::stalls_suppressed},
};

}  // namespace

void add_runtime_metrics(metrics::Registry& registry, const rt::Runtime& runtime) {
    registry.add_source([&runtime](metrics::Visitor& visitor) {
        const rt::Stats stats = runtime.stats();
        const auto counter = [&visitor](std::string_view name, std::string_view help,
                                        double value) {
            visitor.family(name, help, metrics::Type::kCounter);
            visitor.value({}, value);
        };
        for (const Figure& figure : kCounters) {
            counter(figure.name, figure.help, static_cast<double>(stats.*figure.value));
        }
        counter("sluice_runtime_lock_waits_total", "Times that a fiber was parked at a lock.",
                static_cast<double>(stats.locks.waits));
        counter("sluice_runtime_lock_long_waits_total", "Of these, for 200 us and more.",
                static_cast<double>(stats.locks.long_waits));
        counter("sluice_runtime_lock_wait_seconds_total", "Time that fibers were parked at locks.",
                static_cast<double>(stats.locks.total_ns) / 1e9);
        visitor.family("sluice_runtime_spare_workers", "Workers added while all others were stuck.",
                       metrics::Type::kGauge);
        visitor.value({}, static_cast<double>(stats.spare_workers));
        visitor.family("sluice_runtime_fibers", "Fibers that have not ended.",
                       metrics::Type::kGauge);
        // Read apart: the difference may be torn.
        const std::uint64_t ended = std::min(stats.fibers_ended, stats.fibers_started);
        visitor.value({}, static_cast<double>(stats.fibers_started - ended));
    });
}

}  // namespace sluice::observe
