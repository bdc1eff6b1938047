// A closed-loop client: one call in flight, the next one as soon as the answer is there and right.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "bench/loop.h"
#include "bench/workload.h"

namespace sluice::bench {

class UnaryClient final : public Call {
  public:
    // `headers` and the rest outlive the client. call_timeout_ns 0: no grpc-timeout is sent.
    UnaryClient(Loop& loop, Connection& connection, std::span<const http2::HeaderField> headers,
                std::unique_ptr<Workload> workload, TimeNs call_timeout_ns);

    // Makes the first call. On the loop's thread or before it runs.
    void start();

  private:
    void next();
    void on_message(std::string_view message) override;
    void on_done(int grpc_status, std::string_view message) override;
    bool start_call();

    Loop& loop_;
    Connection& connection_;
    const std::span<const http2::HeaderField> headers_;
    const std::unique_ptr<Workload> workload_;
    const TimeNs call_timeout_ns_;
    std::string request_;
    std::string wrong_;  // what check() found in this call's answer
    unsigned messages_ = 0;
    bool measured_ = false;  // the call began in kMeasure
    Ticks started_ = 0;
};

}  // namespace sluice::bench
