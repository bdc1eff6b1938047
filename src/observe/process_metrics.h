// The process_* figures that dashboards expect of every server, and etcd's os_fd_*: CPU seconds,
// resident and virtual memory, open descriptors and their limit, start time.
//
// They are read from /proc when the registry is collected (about 50 us; the descriptors are counted
// one by one). Where a file of /proc cannot be read its metrics are left out.
// Source: proc(5); the names are those of Prometheus' client libraries.
//
//   observe::add_process_metrics(registry);
#pragma once

#include <string>

#include "base/metrics.h"

namespace sluice::observe {

// `proc` is where /proc is mounted; tests bring their own.
void add_process_metrics(metrics::Registry& registry, const std::string& proc = "/proc");

}  // namespace sluice::observe
