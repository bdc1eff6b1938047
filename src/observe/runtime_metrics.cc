#include "observe/runtime_metrics.h"

#include <algorithm>

#include "base/memory_limit.h"

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
    {"sluice_runtime_steals_far_total", "Of the steals, those from a worker of another NUMA node.",
     &rt::Stats::steals_far},
    {"sluice_runtime_active_worker_changes_total",
     "Changes of the number of workers that run fibers.", &rt::Stats::active_worker_changes},
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
    {"sluice_runtime_unplaced_threads_total", "Times that a thread could not have its CPUs.",
     &rt::Stats::unplaced_threads},
};

struct StackFigure {
    std::string_view name;
    std::string_view help;
    metrics::Type type;
    double (*value)(const rt::StackReport::Class& stacks);
};

using StackClass = rt::StackReport::Class;
constexpr StackFigure kStackFigures[] = {
    {"sluice_runtime_stacks", "Stack slots ever made, by size.", metrics::Type::kGauge,
     [](const StackClass& stacks) { return static_cast<double>(stacks.slots); }},
    {"sluice_runtime_stacks_cold", "Of these, free and without memory.", metrics::Type::kGauge,
     [](const StackClass& stacks) { return static_cast<double>(stacks.cold); }},
    {"sluice_runtime_stacks_unguarded", "Of these, without a guard page.", metrics::Type::kGauge,
     [](const StackClass& stacks) { return static_cast<double>(stacks.unguarded); }},
    {"sluice_runtime_stack_slot_bytes", "The size of a slot.", metrics::Type::kGauge,
     [](const StackClass& stacks) { return static_cast<double>(stacks.slot_bytes); }},
    {"sluice_runtime_stack_high_water_bytes", "The deepest use of a slot so far.",
     metrics::Type::kGauge,
     [](const StackClass& stacks) { return static_cast<double>(stacks.high_water_bytes); }},
    {"sluice_runtime_stacks_returned_total", "Slots whose memory was given back to the kernel.",
     metrics::Type::kCounter,
     [](const StackClass& stacks) { return static_cast<double>(stacks.returned); }},
    {"sluice_runtime_stack_return_calls_total", "System calls that this took.",
     metrics::Type::kCounter,
     [](const StackClass& stacks) { return static_cast<double>(stacks.return_calls); }},
};

void show_memory(metrics::Visitor& visitor, const MemoryLimit& memory) {
    visitor.family("sluice_memory_limit_bytes",
                   "Resident memory above which pools and caches shrink; 0: no limit.",
                   metrics::Type::kGauge);
    visitor.value({}, static_cast<double>(memory.bytes_max()));
    visitor.family("sluice_memory_shrinks_total",
                   "Times that pools and caches were made to shrink.", metrics::Type::kCounter);
    visitor.value({}, static_cast<double>(memory.shrinks()));
}

void show_stacks(metrics::Visitor& visitor, const rt::StackReport& report) {
    for (const StackFigure& figure : kStackFigures) {
        visitor.family(figure.name, figure.help, figure.type);
        for (const StackClass& stacks : report.classes) {
            visitor.value({{"size", stacks.name}}, figure.value(stacks));
        }
    }
    visitor.family("sluice_runtime_fiber_stack_bytes",
                   "The deepest sampled use of a stack by fibers of that name.",
                   metrics::Type::kGauge);
    for (const rt::StackReport::Depth& depth : report.fibers) {
        visitor.value({{"fiber", depth.name}}, static_cast<double>(depth.high_water_bytes));
    }
}

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
        visitor.family("sluice_runtime_active_workers", "Workers that run fibers at this load.",
                       metrics::Type::kGauge);
        visitor.value({}, static_cast<double>(stats.active_workers));
        visitor.family("sluice_runtime_fibers", "Fibers that have not ended.",
                       metrics::Type::kGauge);
        // Read apart: the difference may be torn.
        const std::uint64_t ended = std::min(stats.fibers_ended, stats.fibers_started);
        visitor.value({}, static_cast<double>(stats.fibers_started - ended));
        show_stacks(visitor, runtime.stack_report());
        if (runtime.memory() != nullptr) show_memory(visitor, *runtime.memory());
    });
}

}  // namespace sluice::observe
