// The parts of the protobuf wire format that hot paths write and read by hand
// (protobuf.dev/programming-guides/encoding): varints, tags, length-delimited fields.
//
// Writers return the position behind what they wrote; the caller has sized the buffer with the
// matching *_size function. No allocation, no copies: what is read are views into the input.
//
//   char* end = wire::write_bytes(out, /*field=*/1, key);
//   wire::Reader reader(bytes);
//   while (reader.next()) {
//       if (reader.is(1, wire::Type::kBytes)) key = reader.bytes(); else reader.skip();
//   }
//   if (!reader.finished()) ...   // malformed, or something only a full parser handles
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

// Walks the fields of one message. It accepts what protobuf accepts, with the same values, or stops
// short of the end; it also stops at what this project's messages never contain (groups, tags and
// varints with bits beyond their type), so "not finished" means: let protobuf decide.
class Reader {
  public:
    explicit Reader(std::string_view bytes)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    // Goes to the next field; false at the end or at what cannot be read. One of the value
    // functions must follow each true.
    bool next() {
        std::uint64_t tag_value = 0;
        if (at_ == end_ || !read_varint(tag_value, /*bytes_max=*/5)) return false;
        if (tag_value > UINT32_MAX || tag_value >> 3 == 0) return stop();
        tag_ = static_cast<std::uint32_t>(tag_value);
        return true;
    }
    bool is(std::uint32_t field, Type type) const { return tag_ == tag(field, type); }
    std::uint32_t raw_tag() const { return tag_; }  // for a switch over tag(field, type)

    std::uint64_t varint() {
        std::uint64_t value = 0;
        return read_varint(value, /*bytes_max=*/10) ? value : 0;
    }
    std::string_view bytes() {
        std::uint64_t size = 0;
        if (!read_varint(size, /*bytes_max=*/5)) return {};
        if (size > static_cast<std::uint64_t>(end_ - at_)) {
            stop();
            return {};
        }
        const std::string_view value(at_, size);
        at_ += size;
        return value;
    }
    void skip() {
        switch (static_cast<Type>(tag_ & 7)) {
            case Type::kVarint:
                varint();
                return;
            case Type::kBytes:
                bytes();
                return;
            case Type::kFixed64:
                advance(8);
                return;
            case Type::kFixed32:
                advance(4);
                return;
            default:
                stop();
        }
    }
    // Every field has been read, to the last byte.
    bool finished() const { return at_ == end_ && !stopped_; }

  private:
    bool stop() {
        stopped_ = true;
        at_ = end_;
        return false;
    }
    void advance(std::ptrdiff_t size) {
        if (end_ - at_ < size) {
            stop();
        } else {
            at_ += size;
        }
    }
    bool read_varint(std::uint64_t& value, int bytes_max) {
        if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) [[likely]] {
            value = static_cast<unsigned char>(*at_++);
            return true;
        }
        for (int i = 0; i < bytes_max && at_ != end_; ++i) {
            const auto byte = static_cast<unsigned char>(*at_++);
            // The tenth byte has room for one bit only.
            if (i == 9 && byte > 1) break;
            value |= std::uint64_t{byte & 0x7fU} << (7 * i);
            if (byte < 0x80) return true;
        }
        value = 0;
        return stop();
    }

    const char* at_;
    const char* end_;
    std::uint32_t tag_ = 0;
    bool stopped_ = false;
};

}  // namespace sluice::etcd::wire
