// The few protobuf encodings that the load generator's requests and checks need, written by hand so
// that the loader's own CPU stays far below the server's.
//
// Writer appends fields to a string. Reader walks the fields of a message without copying:
//
//   Reader reader(response);
//   while (reader.next())
//       if (reader.field() == 2) kvs += count(reader.bytes());
//   if (!reader.ok()) ...   // truncated or malformed
//
// Source: protobuf.dev/programming-guides/encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::bench {

class Writer {
  public:
    explicit Writer(std::string& out) : out_(out) {}

    void bytes(unsigned field, std::string_view value) {
        varint(field << 3 | 2);
        varint(value.size());
        out_.append(value);
    }
    // Zero is the default and is left out, as protobuf does.
    void number(unsigned field, std::uint64_t value) {
        if (value == 0) return;
        number_always(field, value);
    }
    // For members of a oneof, where zero says that the member is set.
    void number_always(unsigned field, std::uint64_t value) {
        varint(field << 3);
        varint(value);
    }

  private:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
        out_.push_back(static_cast<char>(value));
    }

    std::string& out_;
};

class Reader {
  public:
    explicit Reader(std::string_view message)
        : at_(message.data()), end_(message.data() + message.size()) {}

    // Moves to the next field; false at the end and at the first malformed byte.
    bool next() noexcept {
        if (!ok_ || at_ == end_) return false;
        const std::uint64_t key = varint();
        field_ = static_cast<unsigned>(key >> 3);
        bytes_ = {};
        number_ = 0;
        switch (key & 7) {
            case 0:
                number_ = varint();
                break;
            case 1:
                skip(8);
                break;
            case 2:
                skip(varint());
                break;
            case 5:
                skip(4);
                break;
            default:
                ok_ = false;
        }
        return ok_;
    }

    unsigned field() const noexcept { return field_; }
    std::uint64_t number() const noexcept { return number_; }
    std::string_view bytes() const noexcept { return bytes_; }
    bool ok() const noexcept { return ok_; }

  private:
    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; at_ != end_ && shift < 64; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at_++);
            value |= std::uint64_t{byte & 0x7fu} << shift;
            if (byte < 0x80) return value;
        }
        ok_ = false;
        return 0;
    }
    void skip(std::uint64_t length) noexcept {
        if (!ok_ || length > static_cast<std::uint64_t>(end_ - at_)) {
            ok_ = false;
            return;
        }
        bytes_ = {at_, static_cast<std::size_t>(length)};
        at_ += length;
    }

    const char* at_;
    const char* end_;
    unsigned field_ = 0;
    std::uint64_t number_ = 0;
    std::string_view bytes_;
    bool ok_ = true;
};

}  // namespace sluice::bench
