// The runtime's own figures: fibers, switches, how work spreads over the workers, what the monitor
// saw (rt/monitor.h), and stacks by size with their depth (rt/stack_report.h). Read when the
// registry is collected, about 0.1 ms.
//
//   observe::add_runtime_metrics(registry, runtime);
#pragma once

#include "base/metrics.h"
#include "rt/runtime.h"

namespace sluice::observe {

// The runtime must live as long as the registry is collected.
void add_runtime_metrics(metrics::Registry& registry, const rt::Runtime& runtime);

}  // namespace sluice::observe
