// An incremental HTTP/1.1 request parser (RFC 9112) for a server's small endpoints: /health,
// /version, /metrics, and JSON over POST. GET, HEAD and POST; bodies with a content-length only.
//
//   http1::RequestParser parser(limits);
//   for (;;) {
//       switch (parser.feed(bytes)) {                       // takes from the front of `bytes`
//           case Progress::kNeedsMore: return;              // all of `bytes` was taken
//           case Progress::kRequest:                        // answer parser.request(), then
//               answer(parser.request()); parser.next(); break;
//           case Progress::kError:                          // answer parser.error(), then close
//       }
//   }
//
// It is strict, because tolerance is how requests are smuggled: a bare LF, a space before a colon,
// a folded line, both or differing lengths, a control character: all are 400. Errors are HTTP
// status codes: 400, 405 (another method), 411 (POST without a length, or chunked), 413 (body over
// the limit), 431 (head over the limit), 505 (not HTTP/1.0 or 1.1), 417 (an expectation other than
// 100-continue).
//
// Bounded: at most head_bytes_max + body_bytes_max are kept, nothing between two requests. A
// request that lies whole in one feed() is still copied; these endpoints are not hot. Views end
// with next(). Single-threaded; nothing suspends or blocks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace sluice::http1 {

enum class Method : std::uint8_t { kGet, kHead, kPost };
enum class Progress : std::uint8_t { kNeedsMore, kRequest, kError };

struct RequestHeader {
    std::string_view name;   // lower case
    std::string_view value;  // without blanks at its ends
};

struct Request {
    Method method = Method::kGet;
    std::string_view target;  // as sent, beginning with '/': path and query
    std::span<const RequestHeader> headers;
    std::string_view body;
    bool keep_alive = true;          // the client wants to send more on this connection
    std::uint8_t minor_version = 1;  // HTTP/1.x

    // The part of the target before '?'.
    std::string_view path() const noexcept;
    // The value of the first header with that lower-case name; empty if there is none.
    std::string_view header(std::string_view name) const noexcept;
};

// The status of an error that deserves no answer: the peer speaks something else, close.
inline constexpr std::uint16_t kNotHttp = 0;

struct RequestError {
    std::uint16_t status = kNotHttp;
    std::string_view reason;  // a constant text, for the response's body
};

struct RequestLimits {
    std::uint32_t head_bytes_max = limits::kHttp1HeadBytesMax;
    std::uint32_t body_bytes_max = limits::kHttp1BodyBytesMax;
};

class RequestParser {
  public:
    explicit RequestParser(RequestLimits limits = {}) noexcept : limits_(limits) {}

    Progress feed(std::string_view& bytes);

    // After kRequest, until next().
    const Request& request() const noexcept { return request_; }
    // After kError: the parser stays in that state.
    RequestError error() const noexcept { return error_; }

    // Forgets the request and frees its memory.
    void next();

    // The head is complete and asks for "100 Continue" before its body; true once a request.
    bool take_expects_continue() noexcept;

    // Nothing of a request has come yet: the connection may be closed without harm.
    bool is_idle() const noexcept { return state_ == State::kHead && text_.empty(); }

  private:
    enum class State : std::uint8_t { kHead, kBody, kComplete, kError };

    Progress fail(std::uint16_t status, std::string_view reason);
    bool take_head(std::string_view& bytes);
    void parse_head();
    void parse_request_line(std::string_view line);
    void parse_header(std::string_view line);
    void apply_header(const RequestHeader& header);
    void check_head();
    void finish();

    RequestLimits limits_;
    std::string text_;  // the head
    std::string body_;
    std::vector<RequestHeader> headers_;
    Request request_;
    RequestError error_;
    std::uint64_t content_length_ = 0;
    State state_ = State::kHead;
    bool has_content_length_ = false;
    bool has_host_ = false;
    bool has_close_ = false;
    bool expects_continue_ = false;
};

}  // namespace sluice::http1
