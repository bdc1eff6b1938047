// Commands of the application: opening streams, headers, payload and trailers.
#include <algorithm>

#include "base/check.h"
#include "net/http2/session.h"

namespace sluice::http2 {

StreamId Session::open(std::span<const HeaderField> fields, bool end_stream, void* user) {
    SLUICE_ASSERT(role_ == Role::kClient);
    if (is_closed_ || has_peer_goaway_ || drain_ != DrainStep::kNone) return 0;
    if (next_id_ > kStreamIdMax || streams_.count() >= peer_streams_max_) return 0;
    const StreamId id = next_id_;
    next_id_ += 2;
    Stream& stream = add_stream(id);
    stream.user = user;
    stream.sent_headers = true;
    stream.local_ended = end_stream;
    write_headers(id, fields, end_stream);
    return id;
}

SendResult Session::send_headers(StreamId id, std::span<const HeaderField> fields,
                                 bool end_stream) {
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed() || is_closed_) return SendResult::kClosed;
    SLUICE_ASSERT(!stream->local_ended && !stream->is_released && stream->pending == nullptr);
    stream->sent_headers = true;
    write_headers(id, fields, end_stream);
    if (end_stream) {
        stream->local_ended = true;
        settle(*stream, Tell::kNo);
    }
    return SendResult::kOk;
}

SendResult Session::send_data(StreamId id, std::span<const DataPiece> pieces, bool end_stream) {
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed() || is_closed_) return SendResult::kClosed;
    SLUICE_ASSERT(stream->sent_headers && !stream->local_ended && !stream->is_released);
    std::size_t size = 0;
    for (const DataPiece& piece : pieces) size += piece.bytes.size();

    OutputBuffer* to = &out_;
    if (fits_now(*stream, size)) {
        if (size == 0 && !end_stream) return SendResult::kOk;
        write_data_header(id, static_cast<std::uint32_t>(size), end_stream);
        stream->send_window -= static_cast<std::int32_t>(size);
        send_window_ -= static_cast<std::int32_t>(size);
    } else {
        if (stream->pending == nullptr) stream->pending = std::make_unique<PendingOutput>(id);
        to = &stream->pending->data;
        pending_bytes_ += size;
    }
    for (const DataPiece& piece : pieces) {
        if (piece.owner != nullptr)
            to->append_shared(*piece.owner, piece.bytes);
        else
            to->append(piece.bytes);
    }
    unpark(*stream);
    if (end_stream) {
        stream->local_ended = true;
        if (stream->pending != nullptr) stream->pending->ends_stream = true;
        settle(*stream, Tell::kNo);
        return SendResult::kOk;
    }
    if (stream->pending == nullptr) return SendResult::kOk;
    if (!is_above_limits(*stream)) return SendResult::kOk;
    stream->wants_writable = true;
    if (pending_bytes_ >= config_.connection_pending_bytes) is_blocked_on_total_ = true;
    return SendResult::kBlocked;
}

// May a payload leave as one frame, ahead of what other streams have waiting?
bool Session::fits_now(const Stream& stream, std::size_t size) const noexcept {
    if (stream.pending != nullptr) return false;
    if (size == 0) return true;
    const std::int64_t window = std::min(stream.send_window, send_window_);
    return static_cast<std::int64_t>(size) <= window && size <= limits::kHttp2FrameBytesMax &&
           out_.size() + size <= config_.output_turn_bytes;
}

SendResult Session::send_trailers(StreamId id, std::span<const HeaderField> fields) {
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed() || is_closed_) return SendResult::kClosed;
    SLUICE_ASSERT(!stream->local_ended && !stream->is_released);
    if (stream->pending == nullptr) return send_headers(id, fields, true);
    stream->pending->keep_trailers(fields);
    stream->local_ended = true;
    return SendResult::kOk;
}

}  // namespace sluice::http2
