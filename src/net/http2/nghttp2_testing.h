// nghttp2's session behind a small interface, as the other end of ours in tests: a client that
// sends requests with bodies of any size, or a server that answers with as many bytes as it got.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sluice::http2 {

// Views of both, for the time of a call.
nghttp2_nv nghttp2_field(std::string_view name, std::string_view value);

class NghttpPeer {
  public:
    struct Call {
        std::string status;
        std::string path;
        std::string to_send;
        std::size_t sent = 0;
        std::string received;
        std::string trailer;  // grpc-status
        bool ended = false;   // the other side has ended it
        bool closed = false;
        std::uint32_t close_code = 0;
    };

    // Windows of 0 leave nghttp2's defaults.
    explicit NghttpPeer(bool is_server, std::uint32_t stream_window = 0);
    ~NghttpPeer();
    NghttpPeer(const NghttpPeer&) = delete;
    NghttpPeer& operator=(const NghttpPeer&) = delete;

    // Client: opens a stream. The body is sent as windows allow.
    std::int32_t request(std::string_view path, std::string body);
    void reset(std::int32_t stream, std::uint32_t code);
    void ping();

    // Takes bytes; checks that nghttp2 finds nothing wrong with them.
    void feed(std::string_view bytes);
    // At most about `max` bytes to send (whole frames).
    std::string take(std::size_t max);

    std::map<std::int32_t, Call> calls;
    unsigned pongs = 0;
    bool goaway = false;

  private:
    struct Callbacks;
    void submit_body(std::int32_t stream, bool is_response);

    nghttp2_session* session_ = nullptr;
    bool is_server_;
};

}  // namespace sluice::http2
