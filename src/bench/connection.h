// One HTTP/2 client connection of the load generator: a non-blocking socket, a session, calls.
//
// Driven by its loop with edge-triggered readiness: on_ready() reads all there is and fires the
// calls' events; flush() sends with one writev what they produced. Bytes leave only in flush(), so
// that calls which are started together travel together.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/call.h"
#include "net/http2/session.h"

namespace sluice::bench {

class Connection;

// What the connections of one loop share.
struct LoopMemory {
    explicit LoopMemory(std::size_t receive_bytes) : receive(receive_bytes, '\0') {}
    http2::Scratch scratch;
    std::string receive;
    std::string framed;  // the message being sent, with its prefix
    // Connections that have something to send: the loop flushes and clears them after each turn. A
    // call may be started on another connection than the one whose event is being handled.
    std::vector<Connection*> unflushed;
};

class Connection final : public http2::SessionHandler {
  public:
    // All references outlive the connection.
    Connection(const http2::SessionConfig& config, LoopMemory& memory);
    ~Connection() override;

    // Connects and queues the preface; blocks for the connect only.
    Status open(const std::string& endpoint, TimeNs now);
    int fd() const noexcept { return fd_; }

    // Called once, when calls may be started.
    std::function<void()> on_usable;
    // Called once, when the connection ends without close(), before its calls are done.
    std::function<void(const std::string& why)> on_broken;

    // Starts a call with its first message (a protobuf message, not framed); last: no more follow.
    // False if the peer allows no further stream now.
    bool start(Call& call, std::span<const http2::HeaderField> headers, std::string_view message,
               bool last);
    // A further message of a call that was started with last = false.
    void send(Call& call, std::string_view message);

    void on_ready(TimeNs now);
    void flush(TimeNs now);

    // Ends every call (on_done with status 1, Cancelled) and the connection.
    void close();

  private:
    void on_headers(http2::StreamId id, void* user, http2::HeaderBlock& block,
                    bool end_stream) override;
    void on_data(http2::StreamId id, void* user, std::string_view bytes, bool end_stream) override;
    void on_writable(http2::StreamId, void*) override {}
    void on_closed(http2::StreamId id, void* user, http2::ErrorCode code) override;
    void on_settings() override;
    void on_goaway(http2::StreamId last_id, http2::ErrorCode code, std::string_view debug) override;

    std::string_view framed(std::string_view message);
    static bool take_messages(Call& call, std::string_view bytes);
    void finish(Call& call, int grpc_status, std::string_view message);
    void broken(const std::string& why);
    void flush_later();

    LoopMemory& memory_;
    http2::OutputBuffer out_;
    http2::Session session_;
    int fd_ = -1;
    bool usable_ = false;
    std::string goaway_;  // why the server ends the connection, once it said so
    bool closing_ = false;
    bool is_unflushed_ = false;
};

}  // namespace sluice::bench
