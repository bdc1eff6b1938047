// The runtime's own figures: fibers, switches, how work spreads over the workers, and what the
// monitor saw (rt/monitor.h). Read when the registry is collected, about 5 us.
//
//   observe::add_runtime_metrics(registry, runtime);
#pragma once

#include "base/metrics.h"
#include "rt/runtime.h"

namespace sluice::observe {

// The runtime must live as long as the registry is collected.
void add_runtime_metrics(metrics::Registry& registry, const rt::Runtime& runtime);

}  // namespace sluice::observe
