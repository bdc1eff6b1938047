// Bytes to frames, and DATA frames to events.
#include <algorithm>

#include "base/check.h"
#include "net/http2/session.h"

namespace sluice::http2 {

FeedResult Session::feed(std::string_view bytes, TimeNs now, Scratch& scratch) {
    SLUICE_ASSERT(scratch_ == nullptr);
    now_ = now;
    scratch_ = &scratch;
    while (!bytes.empty() && !is_closed_) {
        if (data_.is_active)
            take_data(bytes);
        else if (preface_left_ == 0)
            take_frame(bytes);
        else
            take_preface(bytes);
    }
    scratch_ = nullptr;
    return is_closed_ ? FeedResult::kClose : FeedResult::kContinue;
}

void Session::take_preface(std::string_view& bytes) {
    const std::string_view expected = kClientPreface.substr(kClientPreface.size() - preface_left_);
    const std::size_t size = std::min(expected.size(), bytes.size());
    if (bytes.substr(0, size) != expected.substr(0, size))
        return connection_error(ErrorCode::kProtocolError, "bad connection preface");
    preface_left_ = static_cast<std::uint8_t>(preface_left_ - size);
    bytes.remove_prefix(size);
}

// `size` contiguous bytes from the front of the input, or nullptr: what there is has been kept.
const char* Session::gather(std::string_view& bytes, std::size_t size) {
    if (partial_.empty() && bytes.size() >= size) {
        const char* whole = bytes.data();
        bytes.remove_prefix(size);
        return whole;
    }
    SLUICE_ASSERT(partial_.size() < size || size == 0);
    if (partial_.empty()) partial_.reserve(size);
    const std::size_t part = std::min(size - partial_.size(), bytes.size());
    partial_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    return partial_.size() == size ? partial_.data() : nullptr;
}

void Session::take_frame(std::string_view& bytes) {
    if (!has_frame_) {
        const char* header = gather(bytes, kFrameHeaderBytes);
        if (header == nullptr) return;
        frame_ = load_frame_header(header);
        partial_.clear();
        if (!begin_frame()) return;
        if (frame_.type == FrameType::kData) return begin_data();
        has_frame_ = true;
    }
    const char* payload = gather(bytes, frame_.length);
    if (payload == nullptr) return;
    has_frame_ = false;
    on_frame({payload, frame_.length});
    partial_.clear();
}

// What can be said of a frame by its header alone.
bool Session::begin_frame() {
    if (frame_.length > limits::kHttp2FrameBytesMax) {
        connection_error(ErrorCode::kFrameSizeError, "frame longer than SETTINGS_MAX_FRAME_SIZE");
    } else if (!has_peer_settings_ &&
               (frame_.type != FrameType::kSettings || frame_.has(kFlagAck))) {
        connection_error(ErrorCode::kProtocolError, "the first frame is not SETTINGS");
    } else if (expects_continuation_ != (frame_.type == FrameType::kContinuation)) {
        connection_error(ErrorCode::kProtocolError, "header block interrupted");
    }
    return !is_closed_;
}

void Session::on_frame(std::string_view payload) {
    switch (frame_.type) {
        case FrameType::kHeaders:
            return on_headers_frame(payload);
        case FrameType::kContinuation:
            return on_continuation_frame(payload);
        case FrameType::kPriority:
            return on_priority_frame(payload);
        case FrameType::kRstStream:
            return on_rst_stream_frame(payload);
        case FrameType::kSettings:
            return on_settings_frame(payload);
        case FrameType::kPing:
            return on_ping_frame(payload);
        case FrameType::kGoaway:
            return on_goaway_frame(payload);
        case FrameType::kWindowUpdate:
            return on_window_update_frame(payload);
        case FrameType::kPushPromise:
            return connection_error(ErrorCode::kProtocolError, "PUSH_PROMISE is not allowed");
        case FrameType::kData:
            break;  // begin_data() took it
        default:
            spend(Flood::kUnknownFrame);
    }
}

void Session::begin_data() {
    const StreamId id = frame_.stream;
    if (id == 0 || is_idle(id))
        return connection_error(ErrorCode::kProtocolError, "DATA on an idle stream");
    if (static_cast<std::int32_t>(frame_.length) > receive_window_)
        return connection_error(ErrorCode::kFlowControlError, "connection window exceeded");
    receive_window_ -= static_cast<std::int32_t>(frame_.length);
    data_ = {.left = frame_.length,
             .stream = id,
             .is_active = true,
             .needs_padding_length = frame_.has(kFlagPadded),
             .is_discarded = true,
             .ends_stream = frame_.has(kFlagEndStream)};
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed()) {
        // What was on its way when we reset the stream is not the peer's fault.
        if (recall_closed(id) != ClosedHow::kResetByUs) stream_error(id, ErrorCode::kStreamClosed);
    } else if (stream->remote_ended) {
        stream_error(id, ErrorCode::kStreamClosed);
    } else if (!stream->has_headers) {
        stream_error(id, ErrorCode::kProtocolError);
    } else if (static_cast<std::int32_t>(frame_.length) > stream->receive_window) {
        stream_error(id, ErrorCode::kFlowControlError);
    } else {
        stream->receive_window -= static_cast<std::int32_t>(frame_.length);
        stream->unconsumed += frame_.length;
        data_.is_discarded = false;
    }
    if (data_.is_discarded) grant_connection(frame_.length);
    if (data_.needs_padding_length && frame_.length == 0)
        return connection_error(ErrorCode::kFrameSizeError, "padded frame without padding length");
    if (!data_.needs_padding_length && !check_content(frame_.length)) return;
    if (frame_.length == 0) {
        data_.is_active = false;
        if (!data_.ends_stream)
            spend(Flood::kEmptyFrame);
        else
            deliver_data({}, true);
    }
}

// The frame's payload against what content-length has announced. False: the connection is over.
bool Session::check_content(std::uint32_t size) {
    if (data_.is_discarded) return true;
    Stream* stream = streams_.find(data_.stream);
    SLUICE_ASSERT(stream != nullptr);
    if (stream->content_left < 0 || stream->ignores_length) return true;
    stream->content_left -= size;
    if (stream->content_left >= 0 && (!data_.ends_stream || stream->content_left == 0)) return true;
    data_.is_discarded = true;
    stream_error(data_.stream, ErrorCode::kProtocolError);
    return !is_closed_;
}

void Session::take_data(std::string_view& bytes) {
    if (data_.needs_padding_length) {
        data_.needs_padding_length = false;
        data_.padding = static_cast<std::uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        --data_.left;
        if (data_.padding > data_.left)
            return connection_error(ErrorCode::kProtocolError, "padding exceeds the frame");
        if (!check_content(data_.left - data_.padding)) return;
        if (!data_.is_discarded) consume(data_.stream, data_.padding + 1u);
        if (data_.left == data_.padding && !data_.ends_stream) spend(Flood::kEmptyFrame);
    }
    const std::size_t payload = std::min<std::size_t>(data_.left - data_.padding, bytes.size());
    const std::string_view piece = bytes.substr(0, payload);
    bytes.remove_prefix(payload);
    data_.left -= static_cast<std::uint32_t>(payload);
    if (data_.left > data_.padding) return deliver_data(piece, false);

    const std::size_t skipped = std::min<std::size_t>(data_.padding, bytes.size());
    bytes.remove_prefix(skipped);
    data_.left -= static_cast<std::uint32_t>(skipped);
    data_.padding = static_cast<std::uint8_t>(data_.padding - skipped);
    data_.is_active = data_.left > 0;
    deliver_data(piece, data_.left == 0);
}

void Session::deliver_data(std::string_view piece, bool is_last) {
    const bool end_stream = is_last && data_.ends_stream;
    if (data_.is_discarded || (piece.empty() && !end_stream)) return;
    const StreamId id = data_.stream;
    Stream* stream = streams_.find(id);
    // Between two parts of one frame the application may have reset or released the stream.
    if (stream == nullptr || stream->is_wire_closed() || stream->is_released) return;
    if (end_stream) stream->remote_ended = true;
    handler_.on_data(id, stream->user, piece, end_stream);
    if (!end_stream) return;
    stream = streams_.find(id);
    if (stream != nullptr) settle(*stream, Tell::kYes);
}

}  // namespace sluice::http2
