// nghttp2's server session as an oracle for ours: it is fed the same bytes and given the same
// commands of the application, and writes its events down in SessionBox's words.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2/error_code.h"

namespace sluice::http2 {

class Nghttp2Server {
  public:
    explicit Nghttp2Server(std::uint32_t streams_max);
    ~Nghttp2Server();
    Nghttp2Server(const Nghttp2Server&) = delete;
    Nghttp2Server& operator=(const Nghttp2Server&) = delete;

    // Takes bytes and gives what it sends because of them. Payload counts as received by the
    // application, which consumes what is left of a stream when that closes.
    std::string feed(std::string_view bytes);

    // The application's commands, for streams that were announced and are not closed. Each gives
    // what is sent because of it.
    std::string respond(std::int32_t stream);
    std::string send_body(std::int32_t stream, std::size_t bytes);
    std::string reset(std::int32_t stream);
    std::string consume(std::int32_t stream, std::size_t bytes);

    // What it ended the connection for without a GOAWAY: a bad preface, or a flood.
    std::optional<ErrorCode> failure() const noexcept { return failure_; }
    // False: it ignores further input, as it may after the peer's GOAWAY.
    bool wants_input() { return nghttp2_session_want_read(session_) != 0; }
    std::size_t unconsumed(std::int32_t stream) { return streams_[stream].unconsumed; }

    std::string events;

  private:
    struct Callbacks;
    struct Stream {
        std::string fields;  // of the header block that is coming
        std::string data;    // of the frame that is coming
        std::size_t to_send = 0;
        std::size_t unconsumed = 0;
        bool announced = false;
    };

    std::string send();

    nghttp2_session* session_ = nullptr;
    std::map<std::int32_t, Stream> streams_;
    std::vector<std::int32_t> closed_;  // since the last send()
    std::optional<ErrorCode> failure_;
};

}  // namespace sluice::http2
