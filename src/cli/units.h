// Values with units, as they stand in flags, environment variables and the config file.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::cli {

// Go's duration syntax, which etcd's flags use: "10m", "1h30m", "1.5s", "100ms", "0". Nanoseconds.
// kInvalidArgument for anything else, and for negative or overlong durations.
Result<TimeNs> parse_duration(std::string_view text);

// A number of bytes with an optional unit: "1572864", "96MiB", "2G" (units are powers of 1024; B,
// iB and case do not matter). kInvalidArgument for anything else.
Result<std::uint64_t> parse_bytes(std::string_view text);

}  // namespace sluice::cli
