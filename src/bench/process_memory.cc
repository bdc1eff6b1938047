#include "bench/process_memory.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>

namespace sluice::bench {

Result<ProcessMemory> read_process_memory(int pid) {
    ProcessMemory memory;
    std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid));
    for (std::string line; std::getline(rollup, line);) {
        std::uint64_t* const target = line.starts_with("Rss:")         ? &memory.rss_bytes
                                      : line.starts_with("Pss:")       ? &memory.pss_bytes
                                      : line.starts_with("Anonymous:") ? &memory.anonymous_bytes
                                                                       : nullptr;
        if (target == nullptr) continue;
        std::istringstream(line.substr(line.find(':') + 1)) >> *target;
        *target *= 1024;
    }
    if (memory.rss_bytes == 0)
        return fail(Code::kNotFound, fmt::format("no memory figures of process {}", pid));
    return memory;
}

}  // namespace sluice::bench
