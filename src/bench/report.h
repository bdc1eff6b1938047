// What a run measured, as text for people and as one line of JSON for scripts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/histogram.h"
#include "bench/options.h"

namespace sluice::bench {

struct Report {
    std::uint64_t calls = 0;  // measured and right; kWatch: events
    std::uint64_t errors = 0;
    std::string first_error;
    TimeNs elapsed_ns = 0;
    HdrHistogram latency;
    TimeNs loader_cpu_ns = 0;  // of the loops' threads

    // With Options::server_pid.
    std::optional<TimeNs> server_cpu_ns;
    std::uint64_t server_rss_bytes = 0;
    std::uint64_t server_rss_peak_bytes = 0;
};

std::string report_text(const Options& options, const Report& report);
std::string report_json(const Options& options, const Report& report);

}  // namespace sluice::bench
