// HPACK's variable-length integers (RFC 7541 section 5.1).
#pragma once

#include <cstdint>

namespace sluice::http2 {

// The most bytes that encode_integer() writes.
inline constexpr unsigned kIntegerBytesMax = 6;  // given: 32 bits in 7s, and the prefix

// Reads an integer with a prefix of `bits` bits (1..8) that begins at `from`. Returns the end, or
// nullptr: it is cut off, or larger than 2^32 - 1.
inline const char* decode_integer(const char* from, const char* end, unsigned bits,
                                  std::uint32_t& value) noexcept {
    if (from == end) return nullptr;
    const std::uint32_t mask = (1u << bits) - 1;
    value = static_cast<std::uint8_t>(*from++) & mask;
    if (value < mask) return from;
    std::uint64_t sum = value;
    for (unsigned shift = 0; shift <= 28; shift += 7) {
        if (from == end) return nullptr;
        const auto byte = static_cast<std::uint8_t>(*from++);
        sum += std::uint64_t{byte & 0x7fu} << shift;
        if (sum > UINT32_MAX) return nullptr;
        if ((byte & 0x80) == 0) {
            value = static_cast<std::uint32_t>(sum);
            return from;
        }
    }
    return nullptr;
}

// Writes `value` with `first` in the bits above the prefix. Returns the end.
inline char* encode_integer(char* to, std::uint8_t first, unsigned bits,
                            std::uint32_t value) noexcept {
    const std::uint32_t mask = (1u << bits) - 1;
    if (value < mask) {
        *to++ = static_cast<char>(first | value);
        return to;
    }
    *to++ = static_cast<char>(first | mask);
    for (value -= mask; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
    *to++ = static_cast<char>(value);
    return to;
}

}  // namespace sluice::http2
