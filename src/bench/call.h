// One gRPC call on a Connection, from the client's side.
//
// Derive from it, start it with Connection::start(), get messages and then exactly one on_done().
// From on_done() (not before) the same object may be started again. It must outlive its connection
// or have been done. All on one loop's thread.
#pragma once

#include <string>
#include <string_view>

#include "net/http2/session.h"

namespace sluice::bench {

class Call {
  public:
    Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;

    // One message, without gRPC's prefix; the view ends with the call.
    virtual void on_message(std::string_view message) = 0;
    // grpc_status 0: the server ended the call well. A broken stream counts as 14 (Unavailable).
    virtual void on_done(int grpc_status, std::string_view message) = 0;

  private:
    friend class Connection;
    http2::StreamId stream_ = 0;  // 0: not started
    std::string partial_;         // the beginning of a message that is not complete yet
};

}  // namespace sluice::bench
