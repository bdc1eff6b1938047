#include "net/grpc/grpc_protocol.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "net/grpc/status.h"
#include "net/grpc/timeout.h"
#include "rt/runtime.h"

namespace sluice::grpc {

using http2::HeaderField;
using http2::HeaderId;

namespace {

// "application/grpc", and with a subtype or parameters.
bool is_grpc(std::string_view content_type) {
    constexpr std::string_view kBase = "application/grpc";
    if (!content_type.starts_with(kBase)) return false;
    return content_type.size() == kBase.size() || content_type[kBase.size()] == '+' ||
           content_type[kBase.size()] == ';';
}

bool takes_one_request(const Method& method) {
    return method.kind == MethodKind::kUnary || method.kind == MethodKind::kServerStream;
}

}  // namespace

ResponseFields::ResponseFields()
    : status_200(fields.add(":status", "200")),
      content_type(fields.add("content-type", "application/grpc")),
      grpc_status_ok(fields.add("grpc-status", "0")) {}

GrpcProtocol::GrpcProtocol(net::Connection& connection, const GrpcConfig& config, TimeNs now)
    : connection_(connection),
      config_(config),
      session_(http2::Role::kServer, config.session, *this, connection.output()),
      now_(now) {
    session_.start(now);
}

// Calls that end after the connection have nothing to write, so no turn records them.
GrpcProtocol::~GrpcProtocol() {
    record_answered();
}

bool GrpcProtocol::feed(std::string_view bytes, TimeNs now, net::TurnScratch& scratch) {
    now_ = now;
    const bool go_on = session_.feed(bytes, now, scratch.headers) == http2::FeedResult::kContinue;
    for (const CallRef& call : undelivered_) {
        if (!call->ended_ && !call->got_message_) arm_deadline(*call);
    }
    undelivered_.clear();
    drop_ended_streams();
    return go_on;
}

void GrpcProtocol::produce(TimeNs now) {
    now_ = now;
    session_.produce(now);
    if (!held_calls_.empty()) take_held();
    drop_ended_streams();
}

void GrpcProtocol::input_ended(TimeNs now) {
    now_ = now;
    input_ended_ = true;
    session_.end_input();
    drop_ended_streams();
}

void GrpcProtocol::trim() {
    session_.trim();
    if (ended_streams_.empty()) ended_streams_.shrink_to_fit();
    undelivered_.shrink_to_fit();
    refused_.shrink_to_fit();
    held_calls_.shrink_to_fit();
    answered_.shrink_to_fit();
}

void GrpcProtocol::closed() {
    session_.terminate(http2::ErrorCode::kNoError);
    held_calls_.clear();
    drop_ended_streams();
    record_answered();
}

// The destructors may end other calls of this connection, whose streams then join the list.
void GrpcProtocol::drop_ended_streams() {
    while (!ended_streams_.empty()) {
        const auto stream = std::move(ended_streams_.back());
        ended_streams_.pop_back();
    }
}

// ---- requests

void GrpcProtocol::on_headers(http2::StreamId id, void* user, http2::HeaderBlock& block,
                              bool end_stream) {
    if (block.is_trailers()) {
        if (!end_stream) return;
        if (user == nullptr) {
            answer_refused(id);
        } else {
            on_data(id, user, {}, true);
        }
        return;
    }
    const std::optional<Head> head = read_head(id, block);
    if (!head) {
        if (end_stream) answer_refused(id);
        return;
    }
    open(id, *head);
    if (end_stream && session_.user(id) != nullptr)
        half_close(*static_cast<Call*>(session_.user(id)));
}

// The method and the timeout; empty if the request was refused. A block that says nothing but the
// method is remembered, so that the next one of its kind needs no look at its fields.
std::optional<GrpcProtocol::Head> GrpcProtocol::read_head(http2::StreamId id,
                                                          http2::HeaderBlock& block) {
    if (block.tag() != 0) return Head{reinterpret_cast<Method*>(block.tag()), kNever};
    Head head;
    std::string_view path, content_type, method, encoding;
    std::optional<std::string_view> timeout;
    for (const http2::Header& header : block.headers()) {
        switch (header.id) {
            case HeaderId::kPath:
                path = header.value;
                break;
            case HeaderId::kMethod:
                method = header.value;
                break;
            case HeaderId::kContentType:
                content_type = header.value;
                break;
            case HeaderId::kGrpcTimeout:
                timeout = header.value;
                break;
            case HeaderId::kGrpcEncoding:
                encoding = header.value;
                break;
            default:
                break;
        }
    }
    if (!is_grpc(content_type)) {
        refused_.emplace_back(
            id, "415", fmt::format("invalid gRPC request content-type \"{}\"\n", content_type));
        return std::nullopt;
    }
    if (method != "POST") {
        refused_.emplace_back(id, "405",
                              fmt::format("invalid gRPC request method \"{}\"\n", method));
        return std::nullopt;
    }
    head.method = config_.services.find(path);
    if (head.method == nullptr) {
        refuse(id, config_.services.unknown(path));
        return std::nullopt;
    }
    if (!encoding.empty() && encoding != "identity") {
        refuse(id, Error(Code::kUnimplemented,
                         fmt::format("grpc: Decompressor is not installed for grpc-encoding \"{}\"",
                                     encoding)));
        return std::nullopt;
    }
    if (!timeout) {
        block.set_tag(reinterpret_cast<std::uint64_t>(head.method));
        return head;
    }
    const std::optional<TimeNs> timeout_ns = parse_grpc_timeout(*timeout);
    if (!timeout_ns) {
        refuse(id, Error(Code::kInternal, fmt::format("malformed grpc-timeout: {}", *timeout)));
        return std::nullopt;
    }
    head.timeout_ns = *timeout_ns;
    return head;
}

void GrpcProtocol::refuse(http2::StreamId id, const Error& error) {
    const std::string code = std::to_string(static_cast<int>(error.code()));
    const std::string message = encode_grpc_message(error.message());
    const std::array fields = {HeaderField::shared(config_.response.status_200),
                               HeaderField::shared(config_.response.content_type),
                               HeaderField::text("grpc-status", code),
                               HeaderField::text("grpc-message", message)};
    session_.send_headers(id, fields, true);
    session_.release(id);
}

void GrpcProtocol::answer_refused(http2::StreamId id) {
    const auto it = std::ranges::find(refused_, id, &Refused::id);
    if (it == refused_.end()) return;
    const Refused refused = std::move(*it);
    refused_.erase(it);
    answer_http(id, refused.status, refused.text);
}

void GrpcProtocol::answer_http(http2::StreamId id, std::string_view status, std::string_view text) {
    const std::array fields = {HeaderField::text(":status", status),
                               HeaderField::text("content-type", "text/plain; charset=utf-8")};
    session_.send_headers(id, fields, false);
    const http2::DataPiece body = http2::DataPiece::copy(text);
    session_.send_data(id, {&body, 1}, true);
    session_.release(id);
}

void GrpcProtocol::open(http2::StreamId id, const Head& head) {
    auto* call = new Call(*this, connection_, *head.method, id);
    retain_call(*call);  // the session's, until release()
    calls_ += 1;
    session_.set_user(id, call);
    call->account.begin(connection_.ready_at());
    call->account.charge(Stage::kRunQueue, connection_.turn_began_at());
    head.method->started.fetch_add(1, std::memory_order_relaxed);
    if (head.timeout_ns != kNever)
        call->deadline_ns_ = now_ + std::min(head.timeout_ns, kNever - now_);
    CallRef keep(*call);
    const bool has_deadline = call->deadline_ns_ != kNever;
    if (head.method->kind == MethodKind::kUnary) {
        // Most often the message follows in the same read, and is answered at once.
        if (has_deadline) undelivered_.push_back(std::move(keep));
        return;
    }
    call->stream_ = head.method->stream(CallRef(*call));
    if (call->released_) {
        ended_streams_.push_back(std::move(call->stream_));  // it has ended in its constructor
    } else if (has_deadline && !call->ended_) {
        arm_deadline(*call);
    }
}

void GrpcProtocol::on_data(http2::StreamId id, void* user, std::string_view bytes,
                           bool end_stream) {
    if (user == nullptr) {
        session_.consume(id, bytes.size());
        if (end_stream) answer_refused(id);
        return;
    }
    CallRef call(*static_cast<Call*>(user));
    if (call->is_held_ || (!call->ended_ && is_congested(*call))) {
        return hold(*call, bytes, end_stream);
    }
    take_payload(*call, bytes, end_stream);
    session_.consume(id, bytes.size());
}

void GrpcProtocol::take_payload(Call& call, std::string_view bytes, bool end_stream) {
    if (call.ended_) return;
    const Status fed = call.reader_.feed(bytes, [&](std::string_view message) {
        if (!call.ended_) deliver(call, message);
    });
    if (call.ended_) return;
    if (!fed) {
        finish_on_wire(call, &fed.error());
    } else if (end_stream) {
        half_close(call);
    }
}

void GrpcProtocol::deliver(Call& call, std::string_view message) {
    call.method_.messages_received.fetch_add(1, std::memory_order_relaxed);
    if (takes_one_request(call.method_) && std::exchange(call.got_message_, true)) {
        const Error error(Code::kInternal, "cardinality violation: more than one request message");
        return finish_on_wire(call, &error);
    }
    if (call.method_.kind != MethodKind::kUnary) return call.stream_->on_message(message);
    call.method_.unary(CallRef(call), message);
    if (call.deadline_ns_ != kNever && !call.ended_ && !call.deadline_timer_) arm_deadline(call);
}

void GrpcProtocol::half_close(Call& call) {
    CallRef keep(call);
    if (call.reader_.mid_message()) {
        const Error error(Code::kInternal, "unexpected EOF");
        return finish_on_wire(call, &error);
    }
    if (takes_one_request(call.method_) && !call.got_message_) {
        const Error error(Code::kInternal, "cardinality violation: no request message");
        return finish_on_wire(call, &error);
    }
    if (call.stream_) call.stream_->on_half_close();
}

// ---- answers

// A call's turn that it has asked for. Not in pump(), which a handler's send() runs: a stream that
// is just sending must not be asked for more, or the new would overtake what it still holds.
void GrpcProtocol::run_posted(Call& call) {
    if (call.woken_.exchange(false, std::memory_order_relaxed) && call.stream_) {
        call.stream_->on_writable();
    }
    pump(call);
}

// Everything that handlers have handed over since the last time goes into the session.
void GrpcProtocol::pump(Call& call) {
    std::vector<Message> messages;
    std::unique_ptr<Error> error;
    bool finished = false;
    {
        SpinGuard guard(call.lock_);
        messages.swap(call.outbox_);
        error = std::move(call.error_);
        finished = call.finished_;
    }
    CallRef keep(call);
    for (Message& message : messages) {
        if (call.ended_) break;
        send_message(call, message);
    }
    if (!finished || call.released_) return;
    if (!call.ended_) send_end(call, error.get());
    release(call);
}

void GrpcProtocol::send_headers(Call& call) {
    if (std::exchange(call.headers_sent_, true)) return;
    const std::array fields = {HeaderField::shared(config_.response.status_200),
                               HeaderField::shared(config_.response.content_type)};
    session_.send_headers(call.stream_id_, fields, false);
}

void GrpcProtocol::send_message(Call& call, Message& message) {
    send_headers(call);
    const auto size = static_cast<std::uint32_t>(message.size());
    const std::array pieces = {http2::DataPiece::copy(message.framed()),
                               http2::DataPiece::shared(message.tail())};
    const std::span<const http2::DataPiece> used(pieces.data(), message.tail() ? 2 : 1);
    const http2::SendResult sent = session_.send_data(call.stream_id_, used, false);
    call.method_.messages_sent.fetch_add(1, std::memory_order_relaxed);
    if (sent == http2::SendResult::kBlocked) {
        call.blocked_bytes_ += size;
    } else {
        call.unsent_bytes_.fetch_sub(size, std::memory_order_relaxed);
    }
}

void GrpcProtocol::send_end(Call& call, const Error* error) {
    call.ended_ = true;
    const Code code = error ? error->code() : Code::kOk;
    call.method_.handled[static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
    disarm_deadline(call);
    if (!error) {
        send_headers(call);
        const HeaderField trailer = HeaderField::shared(config_.response.grpc_status_ok);
        session_.send_trailers(call.stream_id_, {&trailer, 1});
        return;
    }
    // Go's server counts the answer of a unary call also when it is an error.
    if (call.method_.kind == MethodKind::kUnary) {
        call.method_.messages_sent.fetch_add(1, std::memory_order_relaxed);
    }
    const std::string number = std::to_string(static_cast<int>(code));
    const std::string text = encode_grpc_message(error->message());
    const std::array fields = {HeaderField::shared(config_.response.status_200),
                               HeaderField::shared(config_.response.content_type),
                               HeaderField::text("grpc-status", number),
                               HeaderField::text("grpc-message", text)};
    if (std::exchange(call.headers_sent_, true)) {
        session_.send_trailers(call.stream_id_, std::span(fields).subspan(2));
    } else {
        session_.send_headers(call.stream_id_, fields, true);
    }
}

// Ends the call for the client before its handler has: the handler is told, and its finish()
// awaited.
void GrpcProtocol::finish_on_wire(Call& call, const Error* error) {
    send_end(call, error);
    cancel(call, error->code());
}

void GrpcProtocol::cancel(Call& call, Code) {
    call.ended_ = true;
    call.cancelled_.store(true, std::memory_order_release);
    const bool handler_never_ran = call.method_.kind == MethodKind::kUnary && !call.got_message_;
    if (call.stream_) {
        call.stream_->on_cancel();
        release(call);  // if on_cancel() has not finished it
    } else if (handler_never_ran) {
        release(call);
    }
}

// The handler has stopped: the stream no longer counts, and the session's reference goes.
void GrpcProtocol::release(Call& call) {
    if (std::exchange(call.released_, true)) return;
    SLUICE_ASSERT(calls_ > 0);
    calls_ -= 1;
    if (call.stream_) ended_streams_.push_back(std::move(call.stream_));
    if (call.method_.kind == MethodKind::kUnary) answered_.push_back(call.account);
    session_.set_user(call.stream_id_, nullptr);
    session_.release(call.stream_id_);
    release_call(call);
}

void GrpcProtocol::on_writable(http2::StreamId, void* user) {
    if (user == nullptr) return;
    CallRef call(*static_cast<Call*>(user));
    call->unsent_bytes_.fetch_sub(std::exchange(call->blocked_bytes_, 0),
                                  std::memory_order_relaxed);
    if (call->stream_) call->stream_->on_writable();
}

void GrpcProtocol::on_closed(http2::StreamId id, void* user, http2::ErrorCode code) {
    if (user == nullptr) {
        if (std::erase_if(refused_, [id](const Refused& r) { return r.id == id; }) > 0) {
            session_.release(id);
        }
        return;
    }
    CallRef call(*static_cast<Call*>(user));
    if (!call->ended_) {
        const Code status = code_from_http2_error(static_cast<std::uint32_t>(code));
        call->method_.handled[static_cast<std::size_t>(status)].fetch_add(
            1, std::memory_order_relaxed);
        disarm_deadline(*call);
        cancel(*call, status);
    }
}

void GrpcProtocol::arm_deadline(Call& call) {
    SLUICE_ASSERT(call.deadline_timer_ == nullptr);
    call.deadline_timer_ = std::make_unique<Call::DeadlineTimer>(call);
    retain_call(call);  // the timer's, until it is cancelled or has run in a turn
    call.deadline_timer_->arm(call.deadline_ns_, [](rt::Timer& timer) {
        auto& late = static_cast<Call::DeadlineTimer&>(timer);
        late.call.connection_->post(late);
    });
}

void GrpcProtocol::disarm_deadline(Call& call) {
    if (call.deadline_timer_ && call.deadline_timer_->cancel()) release_call(call);
}

void GrpcProtocol::on_deadline(Call& call) {
    {
        SpinGuard guard(call.lock_);
        if (call.finished_) return;  // its answer is in the queue
    }
    const Error late(Code::kDeadlineExceeded, "context deadline exceeded");
    if (!call.ended_) finish_on_wire(call, &late);
}

}  // namespace sluice::grpc
