// What goes out: frames, and the queue of payload that waits.
#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "net/http2/session.h"

namespace sluice::http2 {

void Session::connection_error(ErrorCode code, const char* reason) {
    if (is_closed_) return;
    write_goaway(last_peer_id_, code, reason);
    is_closed_ = true;
    close_code_ = code;
    close_reason_ = reason;
}

bool Session::spend(Flood kind) {
    if (flood_.spend(kind, now_)) return true;
    connection_error(ErrorCode::kEnhanceYourCalm, flood_reason(kind));
    return false;
}

void Session::write_frame(FrameType type, std::uint8_t flags, StreamId id,
                          std::string_view payload) {
    SLUICE_ASSERT(payload.size() <= limits::kHttp2FrameBytesMax);
    const auto length = static_cast<std::uint32_t>(payload.size());
    store_frame_header(out_.reserve(kFrameHeaderBytes),
                       {.length = length, .type = type, .flags = flags, .stream = id});
    out_.commit(kFrameHeaderBytes);
    out_.append(payload);
}

void Session::write_settings() {
    struct Entry {
        Setting id;
        std::uint32_t value;
    };
    const Entry own = role_ == Role::kServer
                          ? Entry{Setting::kMaxConcurrentStreams, config_.streams_max}
                          : Entry{Setting::kEnablePush, 0};
    const Entry entries[] = {own,
                             {Setting::kInitialWindowSize, config_.stream_window_bytes},
                             {Setting::kMaxHeaderListSize, config_.header_list_bytes_max}};
    std::array<char, std::size(entries) * kSettingBytes> payload;
    char* to = payload.data();
    for (const Entry& entry : entries) {
        store_be16(to, static_cast<std::uint16_t>(entry.id));
        store_be32(to + 2, entry.value);
        to += kSettingBytes;
    }
    write_frame(FrameType::kSettings, 0, 0, {payload.data(), payload.size()});
}

void Session::write_goaway(StreamId last_id, ErrorCode code, std::string_view debug) {
    char* to = out_.reserve(kFrameHeaderBytes + 8);
    debug = debug.substr(0, limits::kHttp2FrameBytesMax - 8);
    to = store_frame_header(
        to, {.length = static_cast<std::uint32_t>(8 + debug.size()), .type = FrameType::kGoaway});
    store_be32(to, last_id);
    store_be32(to + 4, static_cast<std::uint32_t>(code));
    out_.commit(kFrameHeaderBytes + 8);
    out_.append(debug);
}

void Session::write_rst_stream(StreamId id, ErrorCode code) {
    char payload[4];
    store_be32(payload, static_cast<std::uint32_t>(code));
    write_frame(FrameType::kRstStream, 0, id, {payload, sizeof payload});
}

void Session::write_window_update(StreamId id, std::uint32_t increment) {
    SLUICE_ASSERT(increment > 0 && increment <= kWindowBytesMax);
    char payload[4];
    store_be32(payload, increment);
    write_frame(FrameType::kWindowUpdate, 0, id, {payload, sizeof payload});
}

void Session::ping(std::uint64_t payload) {
    if (is_closed_) return;
    char bytes[kPingBytes];
    store_be64(bytes, payload);
    write_frame(FrameType::kPing, 0, 0, {bytes, sizeof bytes});
}

void Session::write_headers(StreamId id, std::span<const HeaderField> fields, bool end_stream) {
    on_sent();
    const auto flags = static_cast<std::uint8_t>(end_stream ? kFlagEndStream : 0);
    const std::size_t bound = encoder_.encoded_bound(fields);
    if (kFrameHeaderBytes + bound > limits::kOutputChunkBytes)
        return write_long_headers(id, fields, flags, bound);
    char* const frame = out_.reserve(kFrameHeaderBytes + bound);
    char* const end = encoder_.encode(fields, frame + kFrameHeaderBytes);
    const auto length = static_cast<std::uint32_t>(end - frame - kFrameHeaderBytes);
    SLUICE_ASSERT(length <= bound);
    store_frame_header(frame, {.length = length,
                               .type = FrameType::kHeaders,
                               .flags = static_cast<std::uint8_t>(flags | kFlagEndHeaders),
                               .stream = id});
    out_.commit(kFrameHeaderBytes + length);
}

// More than one frame: HEADERS and CONTINUATIONs with nothing between them.
void Session::write_long_headers(StreamId id, std::span<const HeaderField> fields,
                                 std::uint8_t flags, std::size_t bound) {
    std::string block(bound, '\0');
    block.resize(static_cast<std::size_t>(encoder_.encode(fields, block.data()) - block.data()));
    std::string_view rest = block;
    FrameType type = FrameType::kHeaders;
    do {
        const std::string_view part = rest.substr(0, limits::kHttp2FrameBytesMax);
        rest.remove_prefix(part.size());
        if (rest.empty()) flags |= kFlagEndHeaders;
        write_frame(type, flags, id, part);
        type = FrameType::kContinuation;
        flags = 0;
    } while (!rest.empty());
}

void Session::write_data_header(StreamId id, std::uint32_t length, bool end_stream) {
    flood_.earn(Flood::kWindowUpdate, 2);
    on_sent();
    store_frame_header(out_.reserve(kFrameHeaderBytes),
                       {.length = length,
                        .type = FrameType::kData,
                        .flags = static_cast<std::uint8_t>(end_stream ? kFlagEndStream : 0),
                        .stream = id});
    out_.commit(kFrameHeaderBytes);
}

void Session::on_sent() noexcept {
    flood_.earn(Flood::kPing, 1);
    keepalive_.on_sent();
}

// A stream waits in the queue only while its own window is open.
void Session::unpark(Stream& stream) noexcept {
    PendingOutput* output = stream.pending.get();
    if (output != nullptr && !output->is_queued && stream.send_window > 0)
        queue_.push_back(*output);
}

void Session::drop_pending(Stream& stream) noexcept {
    if (stream.pending == nullptr) return;
    SLUICE_ASSERT(pending_bytes_ >= stream.pending->data.size());
    pending_bytes_ -= stream.pending->data.size();
    forget_answer(*stream.pending);
    if (stream.pending->is_queued) queue_.remove(*stream.pending);
    stream.pending.reset();
}

// A complete answer that waits counts until its last byte has left or it is dropped.
void Session::note_answer(PendingOutput& output) noexcept {
    if (std::exchange(output.is_answer, true)) return;
    unread_answers_ += 1;
    unread_answer_bytes_ += output.data.size();
}

void Session::forget_answer(const PendingOutput& output) noexcept {
    if (!output.is_answer) return;
    SLUICE_ASSERT(unread_answers_ > 0 && unread_answer_bytes_ >= output.data.size());
    unread_answers_ -= 1;
    unread_answer_bytes_ -= output.data.size();
}

void Session::produce(TimeNs now) {
    SLUICE_ASSERT(scratch_ == nullptr);
    now_ = now;
    while (!is_closed_ && out_.size() < config_.output_turn_bytes) {
        PendingOutput* output = queue_.front();
        if (output == nullptr || send_window_ <= 0) break;
        produce_frame(*output);
    }
    if (is_blocked_on_total_ && pending_bytes_ < config_.connection_pending_bytes / 2)
        tell_all_writable();
}

// One DATA frame of the stream, which then goes to the back of the queue.
void Session::produce_frame(PendingOutput& output) {
    const StreamId id = output.stream;
    Stream& stream = *streams_.find(id);
    queue_.remove(output);
    if (stream.send_window <= 0) return;
    const std::size_t window =
        static_cast<std::uint32_t>(std::min(stream.send_window, send_window_));
    const std::size_t size =
        std::min<std::size_t>({output.data.size(), window, limits::kHttp2FrameBytesMax});
    SLUICE_ASSERT(size > 0);
    const bool is_last = size == output.data.size();
    const bool ends = is_last && output.ends_stream && output.trailers.empty();
    write_data_header(id, static_cast<std::uint32_t>(size), ends);
    out_.move_front(output.data, size);
    stream.send_window -= static_cast<std::int32_t>(size);
    send_window_ -= static_cast<std::int32_t>(size);
    pending_bytes_ -= size;
    if (output.is_answer) unread_answer_bytes_ -= size;
    if (is_last) return finish_pending(stream);
    unpark(stream);
    if (stream.wants_writable) tell_writable(stream);
}

// All queued payload is out; what ended the stream follows.
void Session::finish_pending(Stream& stream) {
    const auto output = std::move(stream.pending);
    SLUICE_ASSERT(!output->is_queued && output->data.empty());
    forget_answer(*output);
    if (!output->trailers.empty()) {
        std::vector<HeaderField> fields;
        fields.reserve(output->trailers.size());
        for (const PendingOutput::Field& kept : output->trailers) {
            fields.push_back(kept.field);
            fields.back().name = kept.name;
            fields.back().value = kept.value;
        }
        write_headers(stream.id, fields, true);
    }
    if (!output->ends_stream) {
        if (stream.wants_writable) tell_writable(stream);
    } else if (stream.is_released && !stream.remote_ended) {
        stream.is_released = false;
        release(stream.id);
    } else {
        settle(stream, Tell::kYes);
    }
}

bool Session::is_above_limits(const Stream& stream) const noexcept {
    const std::size_t waiting = stream.pending == nullptr ? 0 : stream.pending->data.size();
    return waiting >= config_.stream_pending_bytes ||
           pending_bytes_ >= config_.connection_pending_bytes;
}

void Session::tell_writable(Stream& stream) {
    const std::size_t waiting = stream.pending == nullptr ? 0 : stream.pending->data.size();
    if (waiting >= (config_.stream_pending_bytes + 1) / 2) return;
    if (pending_bytes_ >= (config_.connection_pending_bytes + 1) / 2) {
        is_blocked_on_total_ = true;
        return;
    }
    stream.wants_writable = false;
    if (!stream.is_released) handler_.on_writable(stream.id, stream.user);
}

// The connection's total has fallen: streams that waited for that, whatever they have queued.
void Session::tell_all_writable() {
    is_blocked_on_total_ = false;
    for (const StreamId id : streams_.ids()) {
        Stream* stream = streams_.find(id);
        if (stream != nullptr && stream->wants_writable && !stream->is_wire_closed())
            tell_writable(*stream);
    }
}

}  // namespace sluice::http2
