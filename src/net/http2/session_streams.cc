// How streams come, end, are reset and are forgotten.
#include "base/check.h"
#include "net/http2/session.h"

namespace sluice::http2 {

Stream& Session::add_stream(StreamId id) {
    Stream& stream = streams_.insert(id);
    stream.send_window = static_cast<std::int32_t>(peer_initial_window_);
    // Until the peer has seen our SETTINGS it may use the default window.
    stream.receive_window =
        static_cast<std::int32_t>(std::max(config_.stream_window_bytes, kDefaultWindowBytes));
    return stream;
}

void Session::erase_stream(Stream& stream) {
    SLUICE_ASSERT(stream.is_released && stream.pending == nullptr);
    const std::uint32_t unconsumed = stream.unconsumed;
    streams_.erase(stream);
    grant_connection(unconsumed);
}

// After anything that may have ended a stream: takes note of it once, tells the handler, and
// forgets the stream when the application has released it.
void Session::settle(Stream& stream, Tell tell) {
    if (!stream.is_wire_closed()) return;
    if (!stream.is_settled) {
        stream.is_settled = true;
        if (!stream.is_reset) {
            remember_closed(stream.id, ClosedHow::kEnded);
            flood_.earn(Flood::kResetReceived, 1);
            flood_.earn(Flood::kResetSent, 1);
        }
        if (!stream.is_released && tell == Tell::kYes) {
            const StreamId id = stream.id;
            handler_.on_closed(id, stream.user, stream.reset_code);
            return;  // the handler may have released it: the record may be gone
        }
    }
    if (stream.is_released) erase_stream(stream);
}

void Session::close_stream(Stream& stream, ClosedHow how, ErrorCode code, Tell tell) {
    SLUICE_ASSERT(how == ClosedHow::kResetByPeer || how == ClosedHow::kResetByUs);
    drop_pending(stream);
    stream.is_reset = true;
    stream.reset_code = code;
    remember_closed(stream.id, how);
    settle(stream, tell);
}

// A fault of the peer in one stream, known or not.
void Session::stream_error(StreamId id, ErrorCode code) {
    if (!spend(Flood::kResetSent)) return;
    write_rst_stream(id, code);
    Stream* stream = streams_.find(id);
    if (stream != nullptr && !stream->is_wire_closed())
        close_stream(*stream, ClosedHow::kResetByUs, code, Tell::kYes);
    else
        remember_closed(id, ClosedHow::kResetByUs);
}

// The ring keeps the two bits in those that an odd 31-bit id has to spare.
void Session::remember_closed(StreamId id, ClosedHow how) noexcept {
    const auto bits = static_cast<std::uint32_t>(how);
    recent_closed_[recent_closed_next_] = (id & ~1u) | (bits & 1) | (bits >> 1) << 31;
    recent_closed_next_ = (recent_closed_next_ + 1) % recent_closed_.size();
}

Session::ClosedHow Session::recall_closed(StreamId id) const noexcept {
    // The newest note counts: a stream may have ended and then been reset.
    for (std::size_t i = 1; i <= recent_closed_.size(); ++i) {
        const std::uint32_t note =
            recent_closed_[(recent_closed_next_ + recent_closed_.size() - i) %
                           recent_closed_.size()];
        if ((note & kStreamIdMax & ~1u) == (id & ~1u) && note != 0)
            return static_cast<ClosedHow>((note & 1) | (note >> 31) << 1);
    }
    return ClosedHow::kForgotten;
}

// Never opened: neither side may send anything but HEADERS and PRIORITY on it.
bool Session::is_idle(StreamId id) const noexcept {
    if (id % 2 == 0) return true;  // server-initiated: push is not offered
    return role_ == Role::kServer ? id > last_peer_id_ : id >= next_id_;
}

void Session::grant_connection(std::uint32_t bytes) {
    consumed_ += bytes;
    if (consumed_ < config_.connection_window_bytes / 2 || is_closed_) return;
    write_window_update(0, consumed_);
    receive_window_ += static_cast<std::int32_t>(consumed_);
    consumed_ = 0;
    SLUICE_ASSERT(receive_window_ <= static_cast<std::int64_t>(config_.connection_window_bytes));
}

void Session::consume(StreamId id, std::size_t bytes) {
    Stream* stream = streams_.find(id);
    if (stream == nullptr || bytes == 0) return;
    SLUICE_ASSERT(bytes <= stream->unconsumed);
    const auto count = static_cast<std::uint32_t>(bytes);
    stream->unconsumed -= count;
    if (!stream->remote_ended && !stream->is_wire_closed()) {
        stream->consumed += count;
        if (stream->consumed >= (config_.stream_window_bytes + 1) / 2) {
            write_window_update(id, stream->consumed);
            stream->receive_window += static_cast<std::int32_t>(stream->consumed);
            stream->consumed = 0;
        }
    }
    grant_connection(count);
}

void Session::reset(StreamId id, ErrorCode code) {
    Stream* stream = streams_.find(id);
    if (stream == nullptr || stream->is_wire_closed()) return;
    write_rst_stream(id, code);
    close_stream(*stream, ClosedHow::kResetByUs, code, Tell::kNo);
}

void Session::release(StreamId id) {
    Stream* stream = streams_.find(id);
    SLUICE_ASSERT(stream != nullptr && !stream->is_released);
    if (stream == nullptr || stream->is_released) return;
    stream->is_released = true;
    if (stream->is_wire_closed()) return settle(*stream, Tell::kNo);
    if (stream->local_ended && stream->pending != nullptr) {
        return note_answer(*stream->pending);  // produce() finishes it
    }
    // A response that is complete needs no more of its request (RFC 9113 section 8.1).
    const bool answered = stream->local_ended && role_ == Role::kServer;
    reset(id, answered ? ErrorCode::kNoError : ErrorCode::kCancel);
}

}  // namespace sluice::http2
