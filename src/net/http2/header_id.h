// Numbers for the header names that the wire path looks at, so that nobody compares strings twice.
//
// The ids 1..61 are the index in HPACK's static table at which the name first appears (RFC 7541
// appendix A); the ids above are names that gRPC and the HTTP/2 rules care about. A name that is
// neither has kNone and is compared as text.
//
//   if (header.id == HeaderId::kGrpcTimeout) parse_timeout(header.value);
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http2 {

enum class HeaderId : std::uint8_t {
    kNone = 0,
    kAuthority = 1,
    kMethod = 2,
    kPath = 4,
    kScheme = 6,
    kStatus = 8,
    kAcceptEncoding = 16,
    kAuthorization = 23,
    kContentLength = 28,
    kContentType = 31,
    kCookie = 32,
    kHost = 38,
    kTransferEncoding = 57,
    kUserAgent = 58,
    kLastStatic = 61,
    kTe,
    kConnection,
    kKeepAlive,
    kProxyConnection,
    kUpgrade,
    kProtocol,  // ":protocol" of extended CONNECT (RFC 8441), which Sluice does not offer
    kGrpcTimeout,
    kGrpcEncoding,
    kGrpcAcceptEncoding,
    kGrpcStatus,
    kGrpcMessage,
    kGrpcStatusDetails,
    kToken,  // "token": how etcd's clients carry their authentication
    kLast = kToken,
};

inline constexpr std::uint8_t kStaticTableEntries = 61;

// The id of a lower-case name; kNone when it has none. Cost: one hash of length and two letters.
HeaderId find_header_id(std::string_view name) noexcept;

// The text of an id; empty for kNone and for numbers that are not ids.
std::string_view header_name(HeaderId id) noexcept;

// The static table. index is 1..61.
std::string_view static_name(std::uint32_t index) noexcept;
std::string_view static_value(std::uint32_t index) noexcept;
HeaderId static_id(std::uint32_t index) noexcept;

// The index of an entry with this name and value, or 0. For set-up code: it walks the table.
std::uint32_t find_static(std::string_view name, std::string_view value) noexcept;

}  // namespace sluice::http2
