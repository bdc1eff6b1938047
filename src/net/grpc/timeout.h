// The grpc-timeout header: up to eight digits and a unit.
// Source: gRPC over HTTP/2 protocol, "Timeout".
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"

namespace sluice::grpc {

// "100m" -> 100 ms in nanoseconds; units H M S m u n. Empty for anything else, which a server
// answers with INTERNAL ("malformed grpc-timeout"). Durations past 292 years are kNever.
std::optional<TimeNs> parse_grpc_timeout(std::string_view text) noexcept;

}  // namespace sluice::grpc
