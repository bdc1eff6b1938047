#include "net/http1/response.h"

#include <fmt/format.h>

#include <iterator>

namespace sluice::http1 {

std::string_view status_text(std::uint16_t status) noexcept {
    switch (status) {
        case 200:
            return "OK";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 417:
            return "Expectation Failed";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Unknown";
    }
}

std::string response_text(const Response& response) {
    std::string out;
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status,
                   status_text(response.status));
    if (!response.content_type.empty())
        fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", response.content_type);
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n{}", response.body.size(),
                   response.extra_headers);
    if (!response.keep_alive) out += "Connection: close\r\n";
    out += "\r\n";
    if (!response.is_head) out += response.body;
    return out;
}

std::string error_text(const RequestError& error) {
    if (error.status == kNotHttp) return {};
    const std::string body = fmt::format("{}\n", error.reason);
    return response_text(
        {.status = error.status,
         .body = body,
         .keep_alive = false,
         .extra_headers = error.status == 405 ? "Allow: GET, HEAD, POST\r\n" : ""});
}

}  // namespace sluice::http1
