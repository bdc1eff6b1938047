// Frames without payload for the application: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM,
// PRIORITY.
#include "base/check.h"
#include "net/http2/session.h"

namespace sluice::http2 {

void Session::on_settings_frame(std::string_view payload) {
    if (frame_.stream != 0)
        return connection_error(ErrorCode::kProtocolError, "SETTINGS on a stream");
    if (frame_.has(kFlagAck)) {
        if (!payload.empty())
            connection_error(ErrorCode::kFrameSizeError, "SETTINGS ACK with a payload");
        return;
    }
    if (payload.size() % kSettingBytes != 0)
        return connection_error(ErrorCode::kFrameSizeError, "SETTINGS of an odd length");
    if (payload.size() / kSettingBytes > limits::kHttp2SettingsEntriesMax)
        return connection_error(ErrorCode::kEnhanceYourCalm, "too many settings");
    if (!spend(Flood::kSettings)) return;
    has_peer_settings_ = true;
    for (; !payload.empty(); payload.remove_prefix(kSettingBytes))
        if (!apply_setting(Setting{load_be16(payload.data())}, load_be32(payload.data() + 2)))
            return;
    write_frame(FrameType::kSettings, kFlagAck, 0, {});
    handler_.on_settings();
}

bool Session::apply_setting(Setting id, std::uint32_t value) {
    switch (id) {
        case Setting::kHeaderTableSize:
            encoder_.set_peer_table_bytes(value);
            break;
        case Setting::kEnablePush:
            if (value > 1 || (value == 1 && role_ == Role::kClient))
                connection_error(ErrorCode::kProtocolError, "bad SETTINGS_ENABLE_PUSH");
            break;
        case Setting::kMaxConcurrentStreams:
            peer_streams_max_ = value;
            break;
        case Setting::kInitialWindowSize:
            apply_initial_window(value);
            break;
        case Setting::kMaxFrameSize:
            // Ours are never longer than the smallest value, so there is nothing to keep.
            if (value < limits::kHttp2FrameBytesMax || value > kFrameSizeSettingMax)
                connection_error(ErrorCode::kProtocolError, "bad SETTINGS_MAX_FRAME_SIZE");
            break;
        case Setting::kMaxHeaderListSize:
            break;  // advice; what we send is small
    }
    return !is_closed_;
}

// Moves the send window of every open stream; it may become negative (RFC 9113 section 6.9.2).
void Session::apply_initial_window(std::uint32_t value) {
    if (value > kWindowBytesMax)
        return connection_error(ErrorCode::kFlowControlError, "bad SETTINGS_INITIAL_WINDOW_SIZE");
    const std::int64_t delta = std::int64_t{value} - peer_initial_window_;
    peer_initial_window_ = value;
    bool overflows = false;
    streams_.for_each([&](Stream& stream) {
        const std::int64_t window = stream.send_window + delta;
        overflows |= window > kWindowBytesMax;
        stream.send_window = static_cast<std::int32_t>(window);
        unpark(stream);
    });
    if (overflows) connection_error(ErrorCode::kFlowControlError, "stream window overflows");
}

void Session::on_ping_frame(std::string_view payload) {
    if (frame_.stream != 0) return connection_error(ErrorCode::kProtocolError, "PING on a stream");
    if (payload.size() != kPingBytes)
        return connection_error(ErrorCode::kFrameSizeError, "PING is not 8 bytes");
    if (frame_.has(kFlagAck)) {
        const std::uint64_t value = load_be64(payload.data());
        if (!finish_drain(value)) handler_.on_ping_ack(value);
        return;
    }
    if (!spend(Flood::kPing)) return;
    if (!keepalive_.on_ping(config_.keepalive, streams_.count() > 0, now_))
        return connection_error(ErrorCode::kEnhanceYourCalm, "too_many_pings");
    write_frame(FrameType::kPing, kFlagAck, 0, payload);
}

void Session::on_goaway_frame(std::string_view payload) {
    if (frame_.stream != 0)
        return connection_error(ErrorCode::kProtocolError, "GOAWAY on a stream");
    if (payload.size() < 8) return connection_error(ErrorCode::kFrameSizeError, "GOAWAY too short");
    const StreamId last_id = load_be32(payload.data()) & kStreamIdMax;
    const ErrorCode code{load_be32(payload.data() + 4)};
    peer_last_id_ = std::min(peer_last_id_, last_id);
    has_peer_goaway_ = true;
    handler_.on_goaway(last_id, code, payload.substr(8));
    if (role_ == Role::kServer) return;
    for (const StreamId id : streams_.ids()) {
        Stream* stream = id > peer_last_id_ ? streams_.find(id) : nullptr;
        if (stream != nullptr && !stream->is_wire_closed())
            close_stream(*stream, ClosedHow::kResetByPeer, ErrorCode::kRefusedStream, Tell::kYes);
    }
}

void Session::on_window_update_frame(std::string_view payload) {
    if (payload.size() != 4)
        return connection_error(ErrorCode::kFrameSizeError, "WINDOW_UPDATE is not 4 bytes");
    if (!spend(Flood::kWindowUpdate)) return;
    const std::uint32_t increment = load_be32(payload.data()) & kWindowBytesMax;
    const StreamId id = frame_.stream;
    if (id == 0) {
        if (increment == 0)
            return connection_error(ErrorCode::kProtocolError, "WINDOW_UPDATE of 0");
        if (std::int64_t{send_window_} + increment > kWindowBytesMax)
            return connection_error(ErrorCode::kFlowControlError, "connection window overflows");
        send_window_ += static_cast<std::int32_t>(increment);
        return;
    }
    if (is_idle(id))
        return connection_error(ErrorCode::kProtocolError, "WINDOW_UPDATE on an idle stream");
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed()) return;
    if (increment == 0) return stream_error(id, ErrorCode::kProtocolError);
    if (std::int64_t{stream->send_window} + increment > kWindowBytesMax)
        return stream_error(id, ErrorCode::kFlowControlError);
    stream->send_window += static_cast<std::int32_t>(increment);
    unpark(*stream);
}

void Session::on_rst_stream_frame(std::string_view payload) {
    const StreamId id = frame_.stream;
    if (payload.size() != 4)
        return connection_error(ErrorCode::kFrameSizeError, "RST_STREAM is not 4 bytes");
    if (id == 0 || is_idle(id))
        return connection_error(ErrorCode::kProtocolError, "RST_STREAM on an idle stream");
    if (!spend(Flood::kResetReceived)) return;
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed()) return;
    const ErrorCode code{load_be32(payload.data())};
    close_stream(*stream, ClosedHow::kResetByPeer, code, Tell::kYes);
}

// Priorities are not used (RFC 9113 section 5.3.2 deprecates them); the frame is only checked.
void Session::on_priority_frame(std::string_view payload) {
    const StreamId id = frame_.stream;
    if (id == 0) return connection_error(ErrorCode::kProtocolError, "PRIORITY on stream 0");
    if (!spend(Flood::kPriority)) return;
    ErrorCode code = ErrorCode::kNoError;
    if (payload.size() != kPriorityBytes)
        code = ErrorCode::kFrameSizeError;
    else if ((load_be32(payload.data()) & kStreamIdMax) == id)
        code = ErrorCode::kProtocolError;
    if (code == ErrorCode::kNoError) return;
    // An idle stream cannot be reset.
    if (is_idle(id)) return connection_error(code, "bad PRIORITY");
    stream_error(id, code);
}

}  // namespace sluice::http2
