// HTTP/2 or HTTP/1.1? Looks at the first bytes of a connection without TLS, on which both may come
// (RFC 9113 section 3.3, "prior knowledge").
//
//   switch (detect_protocol(bytes_so_far)) { case Protocol::kHttp2: ... }
//
// The bytes are not consumed: feed all of them to the parser chosen.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http1 {

enum class Protocol : std::uint8_t {
    kUndecided,  // a prefix of HTTP/2's preface, shorter than 14 bytes: wait for more
    kHttp1,      // something else; if it is no HTTP/1 either, its parser says so
    kHttp2,
};

constexpr Protocol detect_protocol(std::string_view first_bytes) noexcept {
    constexpr std::string_view kRequestLine = "PRI * HTTP/2.0";
    const std::string_view head = first_bytes.substr(0, kRequestLine.size());
    if (head != kRequestLine.substr(0, head.size())) return Protocol::kHttp1;
    return head.size() == kRequestLine.size() ? Protocol::kHttp2 : Protocol::kUndecided;
}

}  // namespace sluice::http1
