#include "net/http2/oracle_differences_testing.h"

#include <algorithm>

#include "base/byte_order.h"
#include "base/limits.h"

namespace sluice::http2 {
namespace {

struct Case {
    const Step& step;
    const Reaction& ours;
    const Reaction& theirs;
    const ConnectionModel& model;

    StreamId id() const { return step.header().stream; }
    bool both_end() const { return ours.end && theirs.end; }
    bool they_end(ErrorCode code) const { return !ours.end && theirs.end == code; }
    bool we_reset(ErrorCode code) const {
        return !ours.end && ours.resets == std::map<StreamId, ErrorCode>{{id(), code}};
    }
    bool both_end_with(ErrorCode a, ErrorCode b) const {
        return both_end() && (ours.end == a || ours.end == b) &&
               (theirs.end == a || theirs.end == b);
    }
};

// A frame without room for what its flags announce: FRAME_SIZE_ERROR or PROTOCOL_ERROR.
bool lacks_room(const Step& step) {
    if (step.is(FrameType::kHeaders)) return !step.header_block();
    return step.is(FrameType::kData) && step.header().has(kFlagPadded) && step.payload().empty();
}

bool pads_too_much(const Step& step) {
    return step.is(FrameType::kData) && step.header().has(kFlagPadded) && !step.payload().empty() &&
           static_cast<std::uint8_t>(step.payload().front()) >= step.payload().size();
}

// DATA or HEADERS on a stream that the client has ended, that was reset, or whose id was skipped.
// RFC 9113 sections 5.1 and 5.1.1 ask for a stream or connection error STREAM_CLOSED or
// PROTOCOL_ERROR, or for silence, depending on how the stream ended and on how long a server
// remembers; nghttp2 remembers other streams than we do, and escalates. Payload beyond the
// connection's window is a connection error of its own, whatever became of the stream.
bool is_about_closed_stream(const Case& c, bool has_list) {
    if (!c.step.is(FrameType::kData) && !c.step.is(FrameType::kHeaders)) return false;
    if (!c.model.is_closed(c.id())) return false;
    const auto is_allowed = [&](const Reaction& reaction) {
        if (reaction.end)
            return reaction.end == ErrorCode::kStreamClosed ||
                   reaction.end == ErrorCode::kProtocolError ||
                   (reaction.end == ErrorCode::kFlowControlError && c.step.is(FrameType::kData)) ||
                   (reaction.end == ErrorCode::kFrameSizeError && lacks_room(c.step)) ||
                   (reaction.end == ErrorCode::kCompressionError && !has_list);
        const bool resets = reaction.resets.contains(c.id());
        if (resets && reaction.resets.at(c.id()) != ErrorCode::kStreamClosed) return false;
        return reaction.resets.size() == (resets ? 1u : 0u) &&
               reaction.events.find("data ") == std::string::npos &&
               reaction.events.find("headers ") == std::string::npos &&
               reaction.events.find("trailers ") == std::string::npos;
    };
    return is_allowed(c.ours) && is_allowed(c.theirs);
}

bool depends_on_itself(const Step& step) {
    const std::size_t at = step.is(FrameType::kHeaders) && step.header().has(kFlagPadded) ? 1 : 0;
    const bool has_priority = step.is(FrameType::kPriority) ||
                              (step.is(FrameType::kHeaders) && step.header().has(kFlagPriority));
    if (!has_priority || step.payload().size() < at + kPriorityBytes) return false;
    return (load_be32(step.payload().data() + at) & kStreamIdMax) == step.header().stream;
}

// Stream errors of RFC 9113 (sections 5.3.1 of RFC 7540, 6.3, 6.9) that nghttp2 makes connection
// errors, which section 5.4.2 allows.
bool is_escalated(const Case& c) {
    if (c.step.is(FrameType::kPriority) && c.step.payload().size() != kPriorityBytes)
        return c.we_reset(ErrorCode::kFrameSizeError) && c.they_end(ErrorCode::kFrameSizeError);
    if (depends_on_itself(c.step)) {
        const bool is_reset =
            c.we_reset(ErrorCode::kProtocolError) || c.we_reset(ErrorCode::kRefusedStream);
        return is_reset && c.they_end(ErrorCode::kProtocolError);
    }
    if (c.step.is(FrameType::kWindowUpdate) && c.step.payload().size() == 4 &&
        (load_be32(c.step.payload().data()) & kWindowBytesMax) == 0)
        return c.we_reset(ErrorCode::kProtocolError) && c.they_end(ErrorCode::kProtocolError);
    return false;
}

// Once the client has acknowledged our SETTINGS, nghttp2 takes one stream too many for a connection
// error; we refuse the stream (section 5.1.2 allows both).
bool is_one_stream_too_many(const Case& c, std::uint32_t streams_max) {
    return c.step.is(FrameType::kHeaders) && c.id() > c.model.highest &&
           c.model.unclosed.size() >= streams_max && c.model.settings_acks > 0 &&
           c.we_reset(ErrorCode::kRefusedStream) && c.they_end(ErrorCode::kProtocolError);
}

bool has(const HpackOracle::Pairs& list, std::string_view name, std::string_view value) {
    return std::ranges::find(list, std::pair<std::string, std::string>(name, value)) != list.end();
}

bool is_visible(char c) {
    return c > ' ' && c < 0x7f;
}

// Header lists that only one side finds malformed. Theirs alone: the grammar of pseudo headers'
// values (we hold them to section 8.2.1 and read only :path), a request without :authority and
// host, more than one host or content-length, and trailers with a host (beside the request's) or
// with a content-length that differs from what came. Ours alone: a :path that is no path, "te:
// Trailers", a content-length of 19 digits.
bool is_grammar(const HpackOracle::Pairs& list) {
    bool has_host = false;
    bool has_authority = false;
    bool is_odd = false;
    unsigned lengths = 0;
    for (const auto& [name, value] : list) {
        const bool is_pseudo = name.starts_with(':');
        has_authority |= name == ":authority";
        if (name == "content-length") is_odd |= value.size() > 18 || ++lengths > 1;
        if (name == "host") is_odd |= std::exchange(has_host, true);
        if (name == "te") is_odd |= value != "trailers";
        if (is_pseudo || name == "host") is_odd |= !std::ranges::all_of(value, is_visible);
        if (name == ":method" || name == ":scheme" || name == ":authority" || name == "host")
            is_odd |= value.empty() || !std::ranges::all_of(value, [](char c) {
                          return std::isalnum(static_cast<unsigned char>(c)) != 0;
                      });
        if (name == ":path") is_odd |= !value.starts_with('/');
    }
    const bool is_trailers = list.empty() || !list.front().first.starts_with(':');
    if (is_trailers) return is_odd || lengths > 0 || has_host;
    return is_odd || !(has_host || has_authority) ||
           (has(list, ":method", "CONNECT") && lengths > 0);
}

std::size_t list_bytes(const HpackOracle::Pairs& list) {
    std::size_t bytes = 0;
    for (const auto& [name, value] : list) bytes += name.size() + value.size() + 32;
    return bytes;
}

std::string_view header_difference(const Case& c, std::uint32_t streams_max,
                                   const std::optional<HpackOracle::Pairs>& list) {
    const auto& frames = c.step.frames;
    std::size_t block = 0;
    bool is_long = false;
    for (const SentFrame& frame : frames) {
        block += frame.payload.size();
        is_long |= frame.header.length > limits::kHttp2FrameBytesMax;
    }
    if (c.both_end() && (is_long || frames.size() > 1))
        return "a block of several frames: which fault is found first";
    if (is_long && c.ours.end == ErrorCode::kFrameSizeError)
        return "nghttp2 does not limit a CONTINUATION";
    if (frames.size() > 1 && c.ours.end == ErrorCode::kEnhanceYourCalm &&
        block > limits::kHttp2HeaderBlockBytesMax)
        return "our limit of a header block";
    if (c.both_end_with(ErrorCode::kProtocolError, ErrorCode::kCompressionError) && !list &&
        (c.id() % 2 == 0 || depends_on_itself(c.step) || c.model.unclosed.size() >= streams_max))
        return "a stream that cannot be, and a block that cannot be decoded";
    if (!list) return {};
    if (list_bytes(*list) > limits::kHttp2HeaderListBytesMax && !c.ours.end)
        return "our limit of a header list";
    const bool we_refuse = c.we_reset(ErrorCode::kProtocolError);
    const bool they_refuse = !c.theirs.end && c.theirs.resets.size() == 1 &&
                             c.theirs.resets.begin()->second == ErrorCode::kProtocolError;
    if (!c.ours.end && !c.theirs.end && we_refuse != they_refuse && is_grammar(*list))
        return "grammar of header values";
    return {};
}

// A frame of a fixed format with more than one fault.
bool has_two_faults(const Step& step) {
    const std::size_t size = step.payload().size();
    const bool is_on_stream = step.header().stream != 0;
    switch (step.header().type) {
        case FrameType::kSettings:
            return (is_on_stream || step.is_first) &&
                   (size % kSettingBytes != 0 || step.header().has(kFlagAck) ||
                    size / kSettingBytes > limits::kHttp2SettingsEntriesMax);
        case FrameType::kPing:
            return is_on_stream && size != kPingBytes;
        case FrameType::kGoaway:
            return is_on_stream && size < 8;
        case FrameType::kPriority:
            return size != kPriorityBytes;
        case FrameType::kRstStream:
        case FrameType::kWindowUpdate:
            return size != 4;
        case FrameType::kPushPromise:
            return size < 4 || step.header().has(kFlagPadded);
        default:
            return false;
    }
}

std::string_view settings_difference(const Case& c) {
    if (c.step.header().has(kFlagAck))
        return c.model.settings_acks > 0 && c.ours.is_silent() &&
                       c.they_end(ErrorCode::kProtocolError)
                   ? "nghttp2 counts the acknowledgements of SETTINGS"
                   : "";
    std::set<std::uint16_t> ids;
    bool repeats = false;
    const std::string& payload = c.step.payload();
    for (std::size_t at = 0; at + kSettingBytes <= payload.size(); at += kSettingBytes) {
        const std::uint16_t id = load_be16(payload.data() + at);
        repeats |= !ids.insert(id).second;
    }
    if ((ids.contains(8) || ids.contains(9)) && (!c.ours.end || c.both_end()))
        return "settings that we do not know (RFC 8441, RFC 9218)";
    if (ids.size() > 1 && c.both_end_with(ErrorCode::kFlowControlError, ErrorCode::kProtocolError))
        return "two faulty settings in one frame: either may be named";
    if (repeats && c.ours.end) return "nghttp2 reads only the last of equal settings";
    if (ids.contains(4) && c.ours.end == ErrorCode::kFlowControlError && !c.theirs.end &&
        !c.theirs.resets.empty() && std::ranges::all_of(c.theirs.resets, [](const auto& reset) {
            return reset.second == ErrorCode::kFlowControlError;
        }))
        return "a window that SETTINGS overflow: section 6.9.2 ends the connection";
    return {};
}

std::string_view goaway_difference(const Case& c) {
    if (c.step.payload().size() < 8 || !c.they_end(ErrorCode::kProtocolError)) return {};
    const std::uint32_t id = load_be32(c.step.payload().data()) & kStreamIdMax;
    if (id % 2 == 1 || id > c.model.goaway_id.value_or(kStreamIdMax))
        return "nghttp2 checks the last stream of a client's GOAWAY, which we do not use";
    return {};
}

}  // namespace

std::string_view difference(const Step& step, const Reaction& ours, const Reaction& theirs,
                            const ConnectionModel& model, std::uint32_t streams_max,
                            const std::optional<HpackOracle::Pairs>& list) {
    if (step.frames.empty()) return {};
    const Case c{step, ours, theirs, model};
    if (is_about_closed_stream(c, list.has_value())) return "a frame on a closed stream";
    if (is_escalated(c)) return "nghttp2 escalates a stream error";
    if (is_one_stream_too_many(c, streams_max)) return "nghttp2 escalates one stream too many";
    if (lacks_room(step) && c.both_end()) return "no room for what the flags announce";
    if (pads_too_much(step) &&
        c.both_end_with(ErrorCode::kProtocolError, ErrorCode::kFlowControlError))
        return "too much padding and too much payload";
    if (c.both_end() && has_two_faults(step)) return "two faults in one frame";
    if (c.both_end() && step.is_first) return "two faults in the first frame";
    if (step.is(FrameType::kHeaders)) return header_difference(c, streams_max, list);
    if (step.is(FrameType::kSettings)) return settings_difference(c);
    if (step.is(FrameType::kGoaway)) return goaway_difference(c);
    return {};
}

}  // namespace sluice::http2
