// Writes HTTP/1.1 responses.
//
//   std::string out = response_text({.status = 200, .content_type = "text/plain",
//                                    .body = "ok\n", .keep_alive = request.keep_alive,
//                                    .is_head = request.method == Method::kHead});
//
// Always with a content-length, so that the connection can go on. Plain functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http1/request_parser.h"

namespace sluice::http1 {

struct Response {
    std::uint16_t status = 200;
    std::string_view content_type = "text/plain; charset=utf-8";
    std::string_view body = {};
    bool keep_alive = true;
    bool is_head = false;                 // the length of the body, without the body
    std::string_view extra_headers = {};  // whole lines, each ending in CRLF
};

// The status line, headers and body.
std::string response_text(const Response& response);

// The answer to a request that could not be parsed; the connection closes after it. Empty for
// kNotHttp: a broken HTTP/2 preface, for one, must not be answered in HTTP/1 (h2spec checks it).
std::string error_text(const RequestError& error);

// "Not Found" for 404; "Unknown" for a code that Sluice does not send.
std::string_view status_text(std::uint16_t status) noexcept;

inline constexpr std::string_view kContinueText = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace sluice::http1
