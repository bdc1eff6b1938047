// HTTP/1.1 on one connection: one request at a time, each answered by the router on a fiber of its
// own.
//
// While a request is being served, or more than limits::kHttp1OutputBytes of answers wait for the
// peer to read them, nothing more is read; what has been read already waits, bounded by one read.
#pragma once

#include <string>

#include "net/http1/request_parser.h"
#include "net/server/connection.h"
#include "net/server/http_router.h"
#include "net/server/protocol.h"

namespace sluice::net {

class Http1Protocol final : public Protocol, private Posted {
  public:
    Http1Protocol(Connection& connection, const HttpRouter& router)
        : connection_(connection), router_(router) {}

    bool feed(std::string_view bytes, TimeNs now, TurnScratch& scratch) override;
    void produce(TimeNs) override { take_requests(); }
    bool wants_input() const override { return may_serve() && waiting_.empty(); }
    void drain(TimeNs) override { draining_ = true; }
    void input_ended(TimeNs) override { input_ended_ = true; }
    bool finished() const override {
        return over_ || ((draining_ || input_ended_) && !serving_ && waiting_.empty());
    }
    bool serving() const override { return serving_; }
    void trim() override { waiting_.shrink_to_fit(); }
    void closed() override { over_ = true; }

  private:
    void run_in_turn(TimeNs now) override;  // the answer is ready
    bool may_serve() const;
    void take_requests();
    void serve();

    Connection& connection_;
    const HttpRouter& router_;
    http1::RequestParser parser_;
    std::string waiting_;  // read, not parsed yet
    HttpAnswer answer_;    // written by the serving fiber, then posted
    bool serving_ = false;
    bool draining_ = false;
    bool input_ended_ = false;
    bool over_ = false;
};

}  // namespace sluice::net
