// Where our server and nghttp2's (1.52) may differ on the same bytes, each with its reason. What is
// not listed in the .cc file is a finding. RFC 9113 leaves all of these open, or settles them our
// way.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2/hpack_oracle_testing.h"
#include "net/http2/wire_steps_testing.h"

namespace sluice::http2 {

// What one server did because of one step.
struct Reaction {
    std::optional<ErrorCode> end;          // of the connection
    std::map<StreamId, ErrorCode> resets;  // RST_STREAM sent
    std::map<StreamId, std::size_t> data;  // bytes of payload sent
    std::multiset<std::string> others;     // everything else that was sent
    std::string events;                    // what the application was told

    bool is_silent() const {
        return !end && resets.empty() && data.empty() && others.empty() && events.empty();
    }
    bool operator==(const Reaction&) const = default;
};

// What the bytes so far have made of the connection.
struct ConnectionModel {
    StreamId highest = 0;         // that a request came on
    std::set<StreamId> open;      // the client may send payload on these; a request was delivered
    std::set<StreamId> unclosed;  // count as concurrent streams
    unsigned settings_acks = 0;
    std::optional<std::uint32_t> goaway_id;

    // A request may have come on it, but nothing more may.
    bool is_closed(StreamId id) const { return id % 2 == 1 && id <= highest && !open.contains(id); }
};

// The reason why both reactions are right; empty if there is none. `model` is the state before the
// step, `list` its header list if it has a readable one.
std::string_view difference(const Step& step, const Reaction& ours, const Reaction& theirs,
                            const ConnectionModel& model, std::uint32_t streams_max,
                            const std::optional<HpackOracle::Pairs>& list);

}  // namespace sluice::http2
