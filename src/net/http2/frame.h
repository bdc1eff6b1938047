// HTTP/2 frames (RFC 9113 sections 4.1 and 6): names of types, flags and settings, and the 9-byte
// header.
//
//   +-----------------+--------+---------+-----------------------+-------------+
//   | length 24 bits  | type 8 | flags 8 | R 1 | stream 31 bits  | payload ... |
//   +-----------------+--------+---------+-----------------------+-------------+
#pragma once

#include <cstdint>
#include <string_view>

#include "base/byte_order.h"

namespace sluice::http2 {

enum class FrameType : std::uint8_t {
    kData = 0,
    kHeaders = 1,
    kPriority = 2,
    kRstStream = 3,
    kSettings = 4,
    kPushPromise = 5,
    kPing = 6,
    kGoaway = 7,
    kWindowUpdate = 8,
    kContinuation = 9,
};

inline constexpr std::uint8_t kFlagEndStream = 0x1;
inline constexpr std::uint8_t kFlagAck = 0x1;
inline constexpr std::uint8_t kFlagEndHeaders = 0x4;
inline constexpr std::uint8_t kFlagPadded = 0x8;
inline constexpr std::uint8_t kFlagPriority = 0x20;

enum class Setting : std::uint16_t {
    kHeaderTableSize = 1,
    kEnablePush = 2,
    kMaxConcurrentStreams = 3,
    kInitialWindowSize = 4,
    kMaxFrameSize = 5,
    kMaxHeaderListSize = 6,
};

inline constexpr std::size_t kFrameHeaderBytes = 9;
inline constexpr std::size_t kSettingBytes = 6;
inline constexpr std::size_t kPriorityBytes = 5;
inline constexpr std::size_t kPingBytes = 8;
inline constexpr std::uint32_t kDefaultWindowBytes = 65'535;
inline constexpr std::uint32_t kWindowBytesMax = 0x7fff'ffff;  // given: RFC 9113 section 6.9.1
inline constexpr std::uint32_t kStreamIdMax = 0x7fff'ffff;     // given: 31 bits
inline constexpr std::uint32_t kFrameSizeSettingMax = (1u << 24) - 1;  // given: 24 bits

inline constexpr std::string_view kClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct FrameHeader {
    std::uint32_t length = 0;  // of the payload
    FrameType type{};
    std::uint8_t flags = 0;
    std::uint32_t stream = 0;

    bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
};

inline FrameHeader load_frame_header(const char* from) noexcept {
    return {.length = load_be24(from),
            .type = FrameType{static_cast<std::uint8_t>(from[3])},
            .flags = static_cast<std::uint8_t>(from[4]),
            .stream = load_be32(from + 5) & kStreamIdMax};
}

inline char* store_frame_header(char* to, const FrameHeader& header) noexcept {
    store_be24(to, header.length);
    to[3] = static_cast<char>(header.type);
    to[4] = static_cast<char>(header.flags);
    store_be32(to + 5, header.stream);
    return to + kFrameHeaderBytes;
}

}  // namespace sluice::http2
