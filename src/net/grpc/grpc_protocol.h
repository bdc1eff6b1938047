// gRPC over one HTTP/2 connection, on the server's side: requests become Calls, answers become
// frames.
//
// It lives in its connection's turns (net/server/protocol.h): nothing in it is locked. What is
// shared by all connections of a server, and constant, is its GrpcConfig. Source: gRPC over HTTP/2
// protocol (grpc/grpc doc/PROTOCOL-HTTP2.md); texts follow Go's server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/limits.h"
#include "base/tick_clock.h"
#include "base/time_account.h"
#include "net/grpc/call.h"
#include "net/grpc/service.h"
#include "net/http2/session.h"
#include "net/server/protocol.h"

namespace sluice::grpc {

// The response fields that every call sends; one byte each once a connection's table holds them.
struct ResponseFields {
    ResponseFields();
    http2::SharedFields fields;
    http2::SharedFieldId status_200;
    http2::SharedFieldId content_type;
    http2::SharedFieldId grpc_status_ok;
};

struct GrpcConfig {
    const ServiceRegistry& services;
    const TickClock& ticks;
    StageHistograms& stages;                                         // a shard for each worker slot
    std::uint32_t receive_bytes_max = limits::kGrpcReceiveBytesMax;  // one message
    http2::SessionConfig session;  // session.shared_fields is set to `response`
    ResponseFields response;
};

class GrpcProtocol final : public net::Protocol, private http2::SessionHandler {
  public:
    // `config` outlives every connection.
    GrpcProtocol(net::Connection& connection, const GrpcConfig& config, TimeNs now);
    ~GrpcProtocol() override;

    bool feed(std::string_view bytes, TimeNs now, net::TurnScratch& scratch) override;
    void produce(TimeNs now) override;
    void written() override;
    bool wants_input() const override { return session_.wants_input(); }
    void drain(TimeNs now) override { session_.drain(now); }
    void input_ended(TimeNs now) override;
    bool finished() const override {
        // After the peer's end nothing opens its windows any more.
        return session_.drained() ||
               (input_ended_ && calls_ == 0 && !session_.has_output_waiting());
    }
    bool serving() const override { return session_.streams() != 0; }
    void trim() override;
    bool can_ping() const override { return session_.has_peer_settings(); }
    void ping() override { session_.ping(0); }
    void closed() override;

  private:
    friend class Call;

    // A request that is no gRPC call: answered in plain HTTP when it has come whole.
    struct Refused {
        http2::StreamId id;
        std::string_view status;
        std::string text;
    };
    struct Head {
        Method* method = nullptr;
        TimeNs timeout_ns = kNever;
    };

    void on_headers(http2::StreamId id, void* user, http2::HeaderBlock& block,
                    bool end_stream) override;
    void on_data(http2::StreamId id, void* user, std::string_view bytes, bool end_stream) override;
    void on_writable(http2::StreamId id, void* user) override;
    void on_closed(http2::StreamId id, void* user, http2::ErrorCode code) override;

    std::optional<Head> read_head(http2::StreamId id, http2::HeaderBlock& block);
    void refuse(http2::StreamId id, const Error& error);
    void answer_http(http2::StreamId id, std::string_view status, std::string_view text);
    void answer_refused(http2::StreamId id);
    void open(http2::StreamId id, const Head& head);
    bool is_congested(const Call& call) const;
    void hold(Call& call, std::string_view bytes, bool end_stream);
    void take_held();
    void take_payload(Call& call, std::string_view bytes, bool end_stream);
    void deliver(Call& call, std::string_view message);
    void half_close(Call& call);

    void run_posted(Call& call);
    void pump(Call& call);
    void send_message(Call& call, Message& message);
    void send_headers(Call& call);
    void send_end(Call& call, const Error* error);
    void finish_on_wire(Call& call, const Error* error);
    void cancel(Call& call, Code code);
    void release(Call& call);
    void arm_deadline(Call& call);
    void disarm_deadline(Call& call);
    void on_deadline(Call& call);
    void drop_ended_streams();
    void record_answered();

    net::Connection& connection_;
    const GrpcConfig& config_;
    http2::Session session_;
    TimeNs now_ = 0;  // of this turn
    // Streams that ended while one of their own functions may still be running.
    std::vector<std::unique_ptr<ServerStream>> ended_streams_;
    std::vector<CallRef> undelivered_;   // unary calls with a deadline that this feed() has opened
    std::vector<Refused> refused_;       // their requests are not complete yet
    std::vector<CallRef> held_calls_;    // with Call::held_ not empty, the oldest first
    std::vector<TimeAccount> answered_;  // of unary calls, until this turn's write
    std::uint32_t calls_ = 0;            // not released
    bool input_ended_ = false;
};

}  // namespace sluice::grpc
