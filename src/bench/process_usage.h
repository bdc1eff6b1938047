// CPU time and memory of a process on this machine, from /proc: for the server under load.
#pragma once

#include "base/clock.h"
#include "base/result.h"

namespace sluice::bench {

struct ProcessUsage {
    TimeNs cpu_ns = 0;  // user and system, all threads, ended ones too
    std::uint64_t rss_bytes = 0;
    std::uint64_t rss_peak_bytes = 0;
};

// Exact to 10 ms of CPU (the kernel's clock tick). Fails if the process is not there.
Result<ProcessUsage> read_process_usage(int pid);

}  // namespace sluice::bench
