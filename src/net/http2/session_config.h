// What a session is told once: limits, windows, keepalive policy, shared header fields. One
// constant object serves all connections of a listener; it outlives them.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/limits.h"
#include "net/http2/header_field.h"

namespace sluice::http2 {

// gRPC's keepalive enforcement, as servers of that protocol do it (grpc/doc/keepalive.md): a PING
// sooner than `min_interval_ns` after the previous one is a strike, unless headers or data have
// been sent in between; more than `strikes_max` strikes end the connection with GOAWAY
// ENHANCE_YOUR_CALM, debug text "too_many_pings".
struct KeepalivePolicy {
    TimeNs min_interval_ns = 0;          // 0: not enforced
    bool permit_without_stream = false;  // else pings with no stream open must be 2 h apart
    std::uint8_t strikes_max = 2;
};

struct SessionConfig {
    const SharedFields* shared_fields = nullptr;  // may be null: everything is literal

    std::uint32_t streams_max = limits::kHttp2StreamsMax;  // concurrent, opened by the peer
    std::uint32_t stream_window_bytes = limits::kHttp2StreamWindowBytes;
    std::uint32_t connection_window_bytes = limits::kHttp2ConnectionWindowBytes;  // >= 65,535
    std::uint32_t header_list_bytes_max = limits::kHttp2HeaderListBytesMax;

    // send_data() reports kBlocked from these on; on_writable() follows below half of them.
    std::uint32_t stream_pending_bytes = limits::kHttp2StreamPendingBytes;
    std::uint32_t connection_pending_bytes = limits::kHttp2ConnectionPendingBytes;
    // How many bytes the session puts into the output buffer ahead of the socket.
    std::uint32_t output_turn_bytes = limits::kHttp2OutputTurnBytes;

    KeepalivePolicy keepalive = {};
};

}  // namespace sluice::http2
