#include "net/grpc/call.h"

#include "base/check.h"
#include "net/grpc/grpc_protocol.h"

namespace sluice::grpc {

Call::Call(GrpcProtocol& protocol, net::Connection& connection, Method& method,
           http2::StreamId stream_id)
    : protocol_(protocol),
      connection_(connection),
      method_(method),
      stream_id_(stream_id),
      reader_(protocol.config_.receive_bytes_max) {}

Call::~Call() {
    SLUICE_CHECK(released_);
}

void retain_call(Call& call) noexcept {
    call.references_.fetch_add(1, std::memory_order_relaxed);
}

void release_call(Call& call) noexcept {
    // Acquire-release: pairs with the other holders' decrements.
    if (call.references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete &call;
}

void Call::finish(Message response) {
    {
        SpinGuard guard(lock_);
        unsent_bytes_.fetch_add(static_cast<std::uint32_t>(response.size()),
                                std::memory_order_relaxed);
        outbox_.push_back(std::move(response));
    }
    end(nullptr);
}

void Call::finish(const Error& error) {
    end(std::make_unique<Error>(error));
}

void Call::finish_ok() {
    end(nullptr);
}

void Call::end(std::unique_ptr<Error> error) {
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(!finished_);
        finished_ = true;
        error_ = std::move(error);
    }
    hand_over();
}

bool Call::send(Message message) {
    {
        SpinGuard guard(lock_);
        if (finished_) return false;
        unsent_bytes_.fetch_add(static_cast<std::uint32_t>(message.size()),
                                std::memory_order_relaxed);
        outbox_.push_back(std::move(message));
    }
    hand_over();
    return unsent_bytes() < limits::kStreamUnsentBytes;
}

void Call::wake() {
    woken_.store(true, std::memory_order_relaxed);
    post();
}

void Call::hand_over() {
    if (connection_->in_turn()) {
        protocol_.pump(*this);
    } else {
        post();
    }
}

void Call::post() {
    {
        SpinGuard guard(lock_);
        if (std::exchange(posted_, true)) return;
    }
    retain_call(*this);  // the post's
    connection_->post(*this);
}

void Call::run_in_turn(TimeNs) {
    {
        SpinGuard guard(lock_);
        posted_ = false;
    }
    GrpcProtocol& protocol = protocol_;
    const net::ConnectionRef keep(*connection_);
    protocol.run_posted(*this);
    release_call(*this);
    protocol.drop_ended_streams();
}

void Call::DeadlineTimer::run_in_turn(TimeNs) {
    GrpcProtocol& protocol = call.protocol_;
    const net::ConnectionRef keep(*call.connection_);
    protocol.on_deadline(call);
    release_call(call);  // the timer's
    protocol.drop_ended_streams();
}

}  // namespace sluice::grpc
