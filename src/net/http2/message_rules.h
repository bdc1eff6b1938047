// What makes a header list a well-formed request, response or trailers (RFC 9113 sections 8.1 to
// 8.3). Plain functions over decoded headers; cost about 1 ns a header.
#pragma once

#include <cstdint>
#include <span>

#include "net/http2/header_block.h"

namespace sluice::http2 {

struct MessageCheck {
    const char* problem = nullptr;     // a constant text, or nullptr: well-formed
    std::int64_t content_length = -1;  // -1: there is none
    std::uint16_t status = 0;          // of a response
    bool is_head_request = false;
};

MessageCheck check_request(std::span<const Header> headers) noexcept;
MessageCheck check_response(std::span<const Header> headers) noexcept;
MessageCheck check_trailers(std::span<const Header> headers) noexcept;

}  // namespace sluice::http2
