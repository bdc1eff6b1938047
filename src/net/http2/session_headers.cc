// Header blocks: HEADERS and CONTINUATION frames to requests, responses and trailers.
#include "base/check.h"
#include "net/http2/message_rules.h"
#include "net/http2/session.h"

namespace sluice::http2 {

void Session::on_headers_frame(std::string_view payload) {
    if (frame_.stream == 0)
        return connection_error(ErrorCode::kProtocolError, "HEADERS on stream 0");
    std::size_t padding = 0;
    if (frame_.has(kFlagPadded)) {
        if (payload.empty())
            return connection_error(ErrorCode::kFrameSizeError, "HEADERS too short");
        padding = static_cast<std::uint8_t>(payload.front());
        payload.remove_prefix(1);
    }
    depends_on_itself_ = false;
    if (frame_.has(kFlagPriority)) {
        if (payload.size() < kPriorityBytes)
            return connection_error(ErrorCode::kFrameSizeError, "HEADERS too short");
        depends_on_itself_ = (load_be32(payload.data()) & kStreamIdMax) == frame_.stream;
        payload.remove_prefix(kPriorityBytes);
    }
    if (padding > payload.size())
        return connection_error(ErrorCode::kProtocolError, "padding exceeds the frame");
    payload.remove_suffix(padding);
    headers_frame_ = frame_;
    if (frame_.has(kFlagEndHeaders)) return on_header_block(payload);
    expects_continuation_ = true;
    continuations_ = 0;
    header_block_.assign(payload);
}

void Session::on_continuation_frame(std::string_view payload) {
    if (frame_.stream != headers_frame_.stream)
        return connection_error(ErrorCode::kProtocolError, "CONTINUATION of another stream");
    if (payload.empty() && !spend(Flood::kEmptyFrame)) return;
    if (++continuations_ > limits::kHttp2ContinuationsMax ||
        header_block_.size() + payload.size() > limits::kHttp2HeaderBlockBytesMax)
        return connection_error(ErrorCode::kEnhanceYourCalm, "header block too large");
    header_block_.append(payload);
    if (!frame_.has(kFlagEndHeaders)) return;
    expects_continuation_ = false;
    const std::string block = std::move(header_block_);
    header_block_.clear();
    on_header_block(block);
}

void Session::on_header_block(std::string_view block) {
    SLUICE_ASSERT(!expects_continuation_);
    const Verdict verdict =
        role_ == Role::kServer ? judge_request_stream() : judge_response_stream();
    if (is_closed_) return;
    const StreamId id = headers_frame_.stream;
    Stream* stream = streams_.find(id);
    const bool may_be_cached = role_ == Role::kServer && stream == nullptr;
    const std::uint64_t tag = may_be_cached ? decoder_.cached_tag(block) : 0;
    auto status = HpackDecoder::Status::kOk;
    // The table has to stay in step, whatever becomes of the stream.
    if (tag == 0) status = decoder_.decode(block, config_.header_list_bytes_max, *scratch_);
    if (status == HpackDecoder::Status::kError)
        return connection_error(ErrorCode::kCompressionError, "header block cannot be decoded");
    if (verdict.ignored) return;
    if (verdict.refusal != ErrorCode::kNoError) return stream_error(id, verdict.refusal);
    if (status == HpackDecoder::Status::kListTooLarge) return refuse_too_large(id);
    role_ == Role::kServer ? on_request(block, tag) : on_response(block);
}

// A new request, trailers, or a HEADERS frame that the stream's state forbids.
Session::Verdict Session::judge_request_stream() {
    const StreamId id = headers_frame_.stream;
    Verdict verdict;
    if (id % 2 == 0) {
        connection_error(ErrorCode::kProtocolError, "HEADERS on an even stream");
        return verdict;
    }
    const Stream* stream = streams_.find(id);
    if (stream != nullptr && !stream->is_wire_closed()) {
        if (stream->remote_ended)
            verdict.refusal = ErrorCode::kStreamClosed;
        else if (!headers_frame_.has(kFlagEndStream))
            verdict.refusal = ErrorCode::kProtocolError;  // trailers end a request
        verdict.ignored = stream->is_released && verdict.refusal == ErrorCode::kNoError;
    } else if (id <= last_peer_id_) {
        verdict = judge_closed_stream(recall_closed(id));
    } else {
        last_peer_id_ = id;
        if (id > refuse_above_ || streams_.count() >= config_.streams_max)
            verdict.refusal = ErrorCode::kRefusedStream;
        else if (depends_on_itself_)
            verdict.refusal = ErrorCode::kProtocolError;
    }
    return verdict;
}

Session::Verdict Session::judge_closed_stream(ClosedHow how) {
    Verdict verdict;
    switch (how) {
        case ClosedHow::kResetByUs:
            verdict.ignored = true;
            break;
        case ClosedHow::kResetByPeer:
            verdict.refusal = ErrorCode::kStreamClosed;
            break;
        case ClosedHow::kEnded:
            connection_error(ErrorCode::kStreamClosed, "HEADERS on a closed stream");
            break;
        case ClosedHow::kForgotten:
            connection_error(ErrorCode::kProtocolError, "HEADERS on an old stream id");
            break;
    }
    return verdict;
}

void Session::on_request(std::string_view block, std::uint64_t tag) {
    const StreamId id = headers_frame_.stream;
    const bool end_stream = headers_frame_.has(kFlagEndStream);
    Stream* stream = streams_.find(id);
    const bool is_trailers = stream != nullptr;
    MessageCheck check;  // a remembered block was well-formed and had no content-length
    if (tag == 0) {
        const auto headers = HpackDecoder::headers(*scratch_);
        check = is_trailers ? check_trailers(headers) : check_request(headers);
    }
    const std::int64_t content_left = is_trailers ? stream->content_left : check.content_length;
    if (check.problem != nullptr || (end_stream && content_left > 0))
        return stream_error(id, ErrorCode::kProtocolError);
    if (!is_trailers) {
        stream = &add_stream(id);
        stream->has_headers = true;
        stream->content_left = content_left;
    }
    const bool may_cache = !is_trailers && content_left < 0;
    HeaderBlock view(decoder_, *scratch_, block, tag, may_cache, is_trailers);
    deliver_headers(*stream, view, end_stream);
}

Session::Verdict Session::judge_response_stream() {
    const StreamId id = headers_frame_.stream;
    Verdict verdict;
    const Stream* stream = streams_.find(id);
    if (stream != nullptr && !stream->is_wire_closed()) {
        if (stream->remote_ended)
            verdict.refusal = ErrorCode::kStreamClosed;
        else if (depends_on_itself_ || (stream->has_headers && !headers_frame_.has(kFlagEndStream)))
            verdict.refusal = ErrorCode::kProtocolError;
        verdict.ignored = stream->is_released && verdict.refusal == ErrorCode::kNoError;
    } else if (is_idle(id)) {
        connection_error(ErrorCode::kProtocolError, "HEADERS on an idle stream");
    } else {
        // We may have cancelled it so long ago that we have forgotten.
        const ClosedHow how = recall_closed(id);
        verdict = judge_closed_stream(how == ClosedHow::kForgotten ? ClosedHow::kResetByUs : how);
    }
    return verdict;
}

void Session::on_response(std::string_view block) {
    const StreamId id = headers_frame_.stream;
    const bool end_stream = headers_frame_.has(kFlagEndStream);
    Stream& stream = *streams_.find(id);
    const bool is_trailers = stream.has_headers;
    const auto headers = HpackDecoder::headers(*scratch_);
    const MessageCheck check = is_trailers ? check_trailers(headers) : check_response(headers);
    const bool is_interim = !is_trailers && check.status < 200;
    const bool lacks_content = is_trailers && !stream.ignores_length && stream.content_left > 0;
    const bool bad_interim = is_interim && (end_stream || check.status == 101);
    if (check.problem != nullptr || lacks_content || bad_interim)
        return stream_error(id, ErrorCode::kProtocolError);
    if (!is_trailers && !is_interim) {
        stream.has_headers = true;
        stream.content_left = check.content_length;
        stream.ignores_length = check.status == 204 || check.status == 304;
    }
    HeaderBlock view(decoder_, *scratch_, block, 0, false, is_trailers);
    deliver_headers(stream, view, end_stream);
}

void Session::deliver_headers(Stream& stream, HeaderBlock& block, bool end_stream) {
    const StreamId id = stream.id;
    if (end_stream) stream.remote_ended = true;
    handler_.on_headers(id, stream.user, block, end_stream);
    if (!end_stream) return;
    Stream* after = streams_.find(id);
    if (after != nullptr) settle(*after, Tell::kYes);
}

// A header list over the limit. A request is answered as RFC 9113 section 10.5.1 suggests.
void Session::refuse_too_large(StreamId id) {
    if (role_ == Role::kClient || streams_.find(id) != nullptr)
        return stream_error(id, ErrorCode::kEnhanceYourCalm);
    if (!spend(Flood::kResetSent)) return;
    const HeaderField status[] = {HeaderField::text(":status", "431")};
    write_headers(id, status, true);
    if (!headers_frame_.has(kFlagEndStream)) write_rst_stream(id, ErrorCode::kNoError);
    remember_closed(id, ClosedHow::kResetByUs);
}

}  // namespace sluice::http2
