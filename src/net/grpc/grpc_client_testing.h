// A gRPC client for tests: one connection, blocking, on our own HTTP/2 session.
//
//   TestClient client(box.port());
//   const TestReply& reply = client.call("/test.Echo/Unary", "hello");
//   EXPECT_EQ(reply.status, "0");
//
// It reads only inside wait(), call() and until(): a client that does not call them is a slow
// reader.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/grpc/framing.h"
#include "net/http2/session.h"
#include "net/server/server_testing.h"

namespace sluice::grpc {

struct TestReply {
    std::string http_status;
    std::string status;   // grpc-status; empty until the call has ended with one
    std::string message;  // grpc-message, as sent
    std::vector<std::string> messages;
    std::string body;  // what is no gRPC message, of a refused request
    std::size_t bytes = 0;
    int header_blocks = 0;  // 1: trailers only
    bool ended = false;
    bool reset = false;
    http2::ErrorCode reset_code = http2::ErrorCode::kNoError;
};

using TestHeaders = std::vector<std::pair<std::string, std::string>>;

class TestClient final : private http2::SessionHandler {
  public:
    struct Options {
        http2::SessionConfig session;
        int receive_buffer_bytes = 0;
        bool grants_window = true;  // false: what is received is never granted again
    };
    explicit TestClient(std::uint16_t port) : TestClient(port, Options{}) {}
    TestClient(std::uint16_t port, const Options& options);
    ~TestClient() override;

    // Opens a call; sends nothing but its headers.
    http2::StreamId open(const std::string& path, const TestHeaders& more = {});
    // One message; `end` half-closes the call.
    void send(http2::StreamId id, std::string_view message, bool end = false);
    void send_raw(http2::StreamId id, std::string_view bytes, bool end);
    void half_close(http2::StreamId id) { send_raw(id, {}, true); }
    void reset(http2::StreamId id);

    // Opens, sends one message, half-closes.
    http2::StreamId start(const std::string& path, std::string_view message,
                          const TestHeaders& more = {});
    // The reply, once it has ended.
    TestReply& wait(http2::StreamId id);
    TestReply& call(const std::string& path, std::string_view message,
                    const TestHeaders& more = {});
    // Reads until `condition` holds. False: the connection has ended, or patience has.
    bool until(const std::function<bool()>& condition);
    // Reads to the end of the connection.
    void wait_closed();

    TestReply& reply(http2::StreamId id) { return replies_[id]; }
    // Calls in the order in which they ended.
    const std::vector<http2::StreamId>& ended() const { return ended_; }
    bool got_goaway() const { return got_goaway_; }
    const std::string& goaway_text() const { return goaway_text_; }
    net::TestSocket& socket() { return socket_; }
    // Writes what the session has to say.
    void flush();

  private:
    void on_headers(http2::StreamId id, void* user, http2::HeaderBlock& block,
                    bool end_stream) override;
    void on_data(http2::StreamId id, void* user, std::string_view bytes, bool end_stream) override;
    void on_writable(http2::StreamId, void*) override {}
    void on_closed(http2::StreamId id, void* user, http2::ErrorCode code) override;
    void on_goaway(http2::StreamId last_id, http2::ErrorCode code, std::string_view debug) override;
    void end(http2::StreamId id);
    bool pump();

    Options options_;
    http2::OutputBuffer out_;
    http2::Scratch scratch_;
    http2::Session session_;
    std::map<http2::StreamId, TestReply> replies_;
    std::map<http2::StreamId, MessageReader> readers_;
    std::vector<http2::StreamId> ended_;
    bool got_goaway_ = false;
    std::string goaway_text_;
    SystemClock clock_;
    net::TestSocket socket_;
};

}  // namespace sluice::grpc
