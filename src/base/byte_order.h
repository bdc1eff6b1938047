// Loads and stores of fixed-width integers in a stated byte order, at any alignment.
//
//   store_le32(out, crc);  const auto length = load_be24(header);
//
// Plain functions, no checks: the caller has made sure that the bytes are there. Cost: one
// instruction.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace sluice {

template <class T>
inline T load_raw(const void* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
inline void store_raw(void* to, T value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

static_assert(std::endian::native == std::endian::little, "big-endian hosts need swaps here");

inline std::uint16_t load_le16(const void* p) noexcept {
    return load_raw<std::uint16_t>(p);
}
inline std::uint32_t load_le32(const void* p) noexcept {
    return load_raw<std::uint32_t>(p);
}
inline std::uint64_t load_le64(const void* p) noexcept {
    return load_raw<std::uint64_t>(p);
}
inline void store_le16(void* p, std::uint16_t v) noexcept {
    store_raw(p, v);
}
inline void store_le32(void* p, std::uint32_t v) noexcept {
    store_raw(p, v);
}
inline void store_le64(void* p, std::uint64_t v) noexcept {
    store_raw(p, v);
}

inline std::uint16_t load_be16(const void* p) noexcept {
    return __builtin_bswap16(load_raw<std::uint16_t>(p));
}
inline std::uint32_t load_be32(const void* p) noexcept {
    return __builtin_bswap32(load_raw<std::uint32_t>(p));
}
inline std::uint64_t load_be64(const void* p) noexcept {
    return __builtin_bswap64(load_raw<std::uint64_t>(p));
}
inline std::uint32_t load_be24(const void* p) noexcept {
    const auto* b = static_cast<const std::uint8_t*>(p);
    return (std::uint32_t{b[0]} << 16) | (std::uint32_t{b[1]} << 8) | b[2];
}
inline void store_be16(void* p, std::uint16_t v) noexcept {
    store_raw(p, __builtin_bswap16(v));
}
inline void store_be32(void* p, std::uint32_t v) noexcept {
    store_raw(p, __builtin_bswap32(v));
}
inline void store_be64(void* p, std::uint64_t v) noexcept {
    store_raw(p, __builtin_bswap64(v));
}
inline void store_be24(void* p, std::uint32_t v) noexcept {
    auto* b = static_cast<std::uint8_t*>(p);
    b[0] = static_cast<std::uint8_t>(v >> 16);
    b[1] = static_cast<std::uint8_t>(v >> 8);
    b[2] = static_cast<std::uint8_t>(v);
}

}  // namespace sluice
