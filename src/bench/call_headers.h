// The request headers of a call, in the order in which grpc-go sends them.
#pragma once

#include <array>
#include <string_view>

#include "net/http2/header_field.h"

namespace sluice::bench {

using CallHeaders = std::array<http2::HeaderField, 7>;

// Each is indexed after its first use on a connection.
CallHeaders make_call_headers(http2::SharedFields& shared, std::string_view authority,
                              std::string_view method);

}  // namespace sluice::bench
