#include "bench/unary_client.h"

#include <fmt/format.h>

#include <array>

#include "base/check.h"

namespace sluice::bench {

UnaryClient::UnaryClient(Loop& loop, Connection& connection,
                         std::span<const http2::HeaderField> headers,
                         std::unique_ptr<Workload> workload, TimeNs call_timeout_ns)
    : loop_(loop),
      connection_(connection),
      headers_(headers),
      workload_(std::move(workload)),
      call_timeout_ns_(call_timeout_ns) {}

void UnaryClient::start() {
    loop_.client_started();
    next();
}

void UnaryClient::next() {
    const Phase phase = loop_.state().phase();
    if (!loop_.state().admit(phase)) return loop_.client_stopped();
    measured_ = phase == Phase::kMeasure;
    messages_ = 0;
    wrong_.clear();
    request_.clear();
    workload_->build(request_);
    started_ = loop_.now();
    if (start_call()) return;
    loop_.record_error("the server allows no further stream on this connection: use more");
    loop_.state().fail(loop_.stats().first_error);
    loop_.client_stopped();
}

bool UnaryClient::start_call() {
    if (call_timeout_ns_ == 0) return connection_.start(*this, headers_, request_, true);
    // As a client with a deadline does: what is left of it differs a little from call to call.
    std::array<http2::HeaderField, 16> fields;
    SLUICE_CHECK(headers_.size() < fields.size());
    std::copy(headers_.begin(), headers_.end(), fields.begin());
    std::array<char, 24> text;
    const TimeNs left_us = call_timeout_ns_ / kMicrosecond - static_cast<TimeNs>(started_ & 0x3f);
    const auto end = fmt::format_to_n(text.data(), text.size(), "{}u", left_us).out;
    fields[headers_.size()] = http2::HeaderField::text(
        "grpc-timeout", {text.data(), static_cast<std::size_t>(end - text.data())});
    return connection_.start(*this, std::span(fields).first(headers_.size() + 1), request_, true);
}

void UnaryClient::on_message(std::string_view message) {
    ++messages_;
    if (std::string wrong = workload_->check(message); !wrong.empty()) wrong_ = std::move(wrong);
}

void UnaryClient::on_done(int grpc_status, std::string_view message) {
    if (grpc_status == 0 && messages_ != 1)
        wrong_ = fmt::format("{} messages instead of one", messages_);
    if (grpc_status != 0) {
        loop_.record_error(fmt::format("grpc-status {}: {}", grpc_status, message));
    } else if (!wrong_.empty()) {
        loop_.record_error(wrong_);
    } else if (measured_ && loop_.state().phase() == Phase::kMeasure) {
        loop_.record(started_);
    }
    next();
}

}  // namespace sluice::bench
