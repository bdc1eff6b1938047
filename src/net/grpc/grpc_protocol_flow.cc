// What a client that asks without reading may cost, and when an answer counts as sent.
#include <utility>

#include "net/grpc/grpc_protocol.h"
#include "rt/current_worker.h"
#include "rt/worker.h"

namespace sluice::grpc {

// Who asks without reading the answers must not fill our memory with them: the requests stay in
// their flow-control windows until it has taken some. A stream is judged by its own answers, and
// other calls go on meanwhile; unary calls by all the complete answers of their connection, of
// which a few may be as large as they like.
bool GrpcProtocol::is_congested(const Call& call) const {
    if (call.method_.kind == MethodKind::kUnary) {
        return session_.unread_answers() >= limits::kGrpcUnreadAnswers &&
               session_.unread_answer_bytes() >= limits::kHttp2ConnectionPendingBytes;
    }
    return call.unsent_bytes() >= limits::kStreamUnsentBytes;
}

void GrpcProtocol::hold(Call& call, std::string_view bytes, bool end_stream) {
    if (!std::exchange(call.is_held_, true)) held_calls_.emplace_back(call);
    call.held_.append(bytes);
    call.held_end_ |= end_stream;
}

void GrpcProtocol::take_held() {
    std::vector<CallRef> calls;
    calls.swap(held_calls_);
    for (CallRef& call : calls) {
        if (!call->ended_ && is_congested(*call)) {
            held_calls_.push_back(std::move(call));
            continue;
        }
        call->is_held_ = false;
        const std::string bytes = std::exchange(call->held_, {});
        const bool end_stream = std::exchange(call->held_end_, false);
        take_payload(*call, bytes, end_stream);
        session_.consume(call->stream_id_, bytes.size());
    }
}

// The stage ends for all answers of a turn with its write. What a peer adds to that by a full
// socket or a closed window is not ours to count.
void GrpcProtocol::written() {
    if (!answered_.empty()) record_answered();
}

void GrpcProtocol::record_answered() {
    if (answered_.empty()) return;
    const Ticks now = config_.ticks.now();
    const rt::Worker* const worker = rt::current_worker();
    for (TimeAccount& account : answered_) {
        account.charge(Stage::kSend, now);
        config_.stages.record(worker != nullptr ? worker->index() : 0, account);
    }
    answered_.clear();
}

}  // namespace sluice::grpc
