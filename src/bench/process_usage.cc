#include "bench/process_usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace sluice::bench {

Result<ProcessUsage> read_process_usage(int pid) {
    std::ifstream stat_file(fmt::format("/proc/{}/stat", pid));
    const std::string stat{std::istreambuf_iterator<char>(stat_file), {}};
    const auto name_end = stat.rfind(')');  // proc(5): the name may hold anything; field 3 follows
    if (name_end == std::string::npos)
        return fail(Code::kNotFound, fmt::format("no process {}", pid));
    std::istringstream fields(stat.substr(name_end + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    std::int64_t user_ticks = 0, system_ticks = 0;
    fields >> user_ticks >> system_ticks;

    ProcessUsage usage;
    usage.cpu_ns = (user_ticks + system_ticks) * kSecond / sysconf(_SC_CLK_TCK);
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
        std::uint64_t* target = line.starts_with("VmRSS:")   ? &usage.rss_bytes
                                : line.starts_with("VmHWM:") ? &usage.rss_peak_bytes
                                                             : nullptr;
        if (target == nullptr) continue;
        std::istringstream(line.substr(6)) >> *target;
        *target *= 1024;
    }
    return usage;
}

}  // namespace sluice::bench
