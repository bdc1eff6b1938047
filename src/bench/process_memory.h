// Resident memory of a process on this machine, from /proc/PID/smaps_rollup (proc(5)).
#pragma once

#include <cstdint>

#include "base/result.h"

namespace sluice::bench {

struct ProcessMemory {
    std::uint64_t rss_bytes = 0;        // with the pages of programs and libraries
    std::uint64_t pss_bytes = 0;        // pages shared with other processes count in part
    std::uint64_t anonymous_bytes = 0;  // heaps and stacks
};

// Exact to a page. Costs the kernel a walk of the process's page tables. Fails if the process is
// not there, or is another user's.
Result<ProcessMemory> read_process_memory(int pid);

}  // namespace sluice::bench
