// The parts of the protobuf wire format that hot paths write and read by hand
// (protobuf.dev/programming-guides/encoding): varints, tags, length-delimited fields.
//
// Writers return the position behind what they wrote; the caller has sized the buffer with the
// matching *_size function. Readers return nullptr on malformed or truncated input. No allocation.
//
//   char* end = wire::write_bytes(out, /*field=*/1, key);
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::etcd::wire {

enum class Type : std::uint8_t {
    kVarint = 0,
    kFixed64 = 1,
    kBytes = 2,
    kGroupStart = 3,
    kGroupEnd = 4,
    kFixed32 = 5,
};

constexpr std::uint32_t tag(std::uint32_t field, Type type) {
    return field << 3 | static_cast<std::uint32_t>(type);
}

constexpr std::size_t varint_size(std::uint64_t value) {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}
inline char* write_varint(char* out, std::uint64_t value) {
    while (value >= 0x80) {
        *out++ = static_cast<char>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<char>(value);
    return out;
}

// Fields as proto3 writes them: left out when zero or empty, unless the name says otherwise.
constexpr std::size_t int_size(std::uint32_t field, std::uint64_t value) {
    return value == 0 ? 0 : varint_size(tag(field, Type::kVarint)) + varint_size(value);
}
inline char* write_int(char* out, std::uint32_t field, std::uint64_t value) {
    if (value == 0) return out;
    return write_varint(write_varint(out, tag(field, Type::kVarint)), value);
}
constexpr std::size_t nested_size(std::uint32_t field, std::size_t size) {  // even if empty
    return varint_size(tag(field, Type::kBytes)) + varint_size(size) + size;
}
inline char* write_nested_head(char* out, std::uint32_t field, std::size_t size) {
    return write_varint(write_varint(out, tag(field, Type::kBytes)), size);
}
constexpr std::size_t bytes_size(std::uint32_t field, std::string_view bytes) {
    return bytes.empty() ? 0 : nested_size(field, bytes.size());
}
inline char* write_raw(char* out, std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    return out + bytes.size();
}
inline char* write_bytes(char* out, std::uint32_t field, std::string_view bytes) {
    if (bytes.empty()) return out;
    return write_raw(write_nested_head(out, field, bytes.size()), bytes);
}

}  // namespace sluice::etcd::wire
