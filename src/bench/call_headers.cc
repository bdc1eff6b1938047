#include "bench/call_headers.h"

namespace sluice::bench {

CallHeaders make_call_headers(http2::SharedFields& shared, std::string_view authority,
                              std::string_view method) {
    const auto field = [&shared](std::string_view name, std::string_view value) {
        return http2::HeaderField::shared(shared.add(name, value));
    };
    return {field(":method", "POST"),
            field(":scheme", "http"),
            field(":path", method),
            field(":authority", authority),
            field("content-type", "application/grpc"),
            field("user-agent", "sluice-bench"),
            field("te", "trailers")};
}

}  // namespace sluice::bench
