// The end of an RPC: gRPC's status code and message, and their form in HTTP/2 trailers.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::grpc {

// The value of the grpc-message trailer: percent-encoded UTF-8, every byte outside 0x20..0x7e and
// '%' itself as %XX. Source: gRPC over HTTP/2 protocol, "Status-Message".
std::string encode_grpc_message(std::string_view message);

// The gRPC code for an HTTP/2 RST_STREAM error code, as the protocol's table has it.
Code code_from_http2_error(std::uint32_t http2_error) noexcept;

}  // namespace sluice::grpc
