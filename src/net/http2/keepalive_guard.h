// Counts pings that come too often, by gRPC's rules (KeepalivePolicy in session_config.h).
// Single-threaded; 24 bytes a connection.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "net/http2/session_config.h"

namespace sluice::http2 {

class KeepaliveGuard {
  public:
    // Headers or data went out: the next PING is not judged, and strikes are forgotten.
    void on_sent() noexcept { sent_since_ping_ = true; }

    // False: too many pings.
    bool on_ping(const KeepalivePolicy& policy, bool has_streams, TimeNs now) noexcept {
        if (policy.min_interval_ns == 0) return true;
        const TimeNs previous = last_ping_;
        last_ping_ = now;
        const bool first = !pinged_;
        pinged_ = true;
        if (sent_since_ping_) {
            sent_since_ping_ = false;
            strikes_ = 0;
            return true;
        }
        const TimeNs interval =
            has_streams || policy.permit_without_stream ? policy.min_interval_ns : kIdleIntervalNs;
        if (!first && now - previous < interval) ++strikes_;
        return strikes_ <= policy.strikes_max;
    }

  private:
    static constexpr TimeNs kIdleIntervalNs = 2 * 3600 * kSecond;

    TimeNs last_ping_ = 0;
    std::uint8_t strikes_ = 0;
    bool pinged_ = false;
    bool sent_since_ping_ = false;
};

}  // namespace sluice::http2
