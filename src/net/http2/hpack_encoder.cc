#include "net/http2/hpack_encoder.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "net/http2/header_id.h"
#include "net/http2/hpack_integer.h"
#include "net/http2/huffman.h"

namespace sluice::http2 {
namespace {

constexpr std::uint32_t kEntryOverhead = 32;  // RFC 7541 section 4.1
constexpr std::uint8_t kIndexed = 0x80;
constexpr std::uint8_t kInsert = 0x40;
constexpr std::uint8_t kSizeUpdate = 0x20;
constexpr std::uint8_t kNeverIndexed = 0x10;
constexpr std::uint8_t kWithoutIndexing = 0x00;
constexpr std::size_t kSizeUpdateBytesMax = 2 * kIntegerBytesMax;  // given: RFC 7541 section 4.2

// As it is: for text that is sent once, a few bytes on the wire are cheaper than Huffman coding.
char* encode_plain(std::string_view text, char* to) noexcept {
    to = encode_integer(to, 0, 7, static_cast<std::uint32_t>(text.size()));
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

char* encode_shortest(std::string_view text, char* to) noexcept {
    const std::size_t size = huffman_encoded_size(text);
    if (size >= text.size()) return encode_plain(text, to);
    to = encode_integer(to, 0x80, 7, static_cast<std::uint32_t>(size));
    return huffman_encode(text, to);
}

// The index of a static entry with this name, or 0.
std::uint32_t name_index(std::string_view name) noexcept {
    const auto id = static_cast<std::uint32_t>(find_header_id(name));
    return id <= kStaticTableEntries ? id : 0;
}

char* encode_literal(std::uint8_t kind, unsigned bits, std::string_view name,
                     std::string_view value, char* (*encode_text)(std::string_view, char*),
                     char* to) noexcept {
    const std::uint32_t index = name_index(name);
    to = encode_integer(to, kind, bits, index);
    if (index == 0) to = encode_text(name, to);
    return encode_text(value, to);
}

std::size_t literal_bound(std::string_view name, std::string_view value) noexcept {
    return 3 * kIntegerBytesMax + name.size() + value.size();
}

}  // namespace

SharedFieldId SharedFields::add(std::string_view name, std::string_view value) {
    SLUICE_CHECK(fields_.size() < 256);
    Field field;
    field.static_index = static_cast<std::uint8_t>(find_static(name, value));
    if (field.static_index == 0) {
        SLUICE_CHECK(slots_ < limits::kSharedFieldsMax);
        field.slot = slots_++;
        table_bytes_ += name.size() + value.size() + kEntryOverhead;
        SLUICE_CHECK(table_bytes_ <= limits::kHpackTableBytes);
        std::string bytes(literal_bound(name, value), '\0');
        char* end = encode_literal(kInsert, 6, name, value, encode_shortest, bytes.data());
        field.insert.assign(bytes.data(), end);
        end = encode_literal(kWithoutIndexing, 4, name, value, encode_shortest, bytes.data());
        field.literal.assign(bytes.data(), end);
    }
    fields_.push_back(std::move(field));
    return SharedFieldId{static_cast<std::uint8_t>(fields_.size() - 1)};
}

HpackEncoder::HpackEncoder(const SharedFields* shared) noexcept
    : shared_(shared), may_insert_(shared != nullptr) {
    place_.fill(kNotInserted);
}

void HpackEncoder::set_peer_table_bytes(std::uint32_t bytes) noexcept {
    wanted_bytes_ = std::min(bytes, limits::kHpackTableBytes);
    announced_min_ = std::min(announced_min_, wanted_bytes_);
}

std::size_t HpackEncoder::encoded_bound(std::span<const HeaderField> fields) const noexcept {
    std::size_t bound = kSizeUpdateBytesMax;
    for (const HeaderField& field : fields) {
        if (field.is_shared) {
            const auto& shared = shared_->fields_[static_cast<std::uint8_t>(field.shared_id)];
            bound += 1 + shared.insert.size() + shared.literal.size();
        } else {
            bound += literal_bound(field.name, field.value);
        }
    }
    return bound;
}

// RFC 7541 section 4.2: after a change the next block begins with the smallest and the last size.
// The peer's table is emptied on any change, which is rare, rather than tracked.
char* HpackEncoder::encode_size_updates(char* to) noexcept {
    if (announced_min_ == table_bytes_ && wanted_bytes_ == table_bytes_) return to;
    to = encode_integer(to, kSizeUpdate, 5, 0);
    if (wanted_bytes_ > 0) to = encode_integer(to, kSizeUpdate, 5, wanted_bytes_);
    table_bytes_ = wanted_bytes_;
    announced_min_ = wanted_bytes_;
    inserted_ = 0;
    place_.fill(kNotInserted);
    may_insert_ = shared_ != nullptr && shared_->table_bytes() <= table_bytes_;
    return to;
}

char* HpackEncoder::encode_shared(const SharedFields::Field& field, char* to) noexcept {
    if (field.static_index != 0) {
        *to++ = static_cast<char>(kIndexed | field.static_index);
        return to;
    }
    std::uint8_t& place = place_[field.slot];
    if (place != kNotInserted) {
        SLUICE_ASSERT(place < inserted_);
        const std::uint32_t age = inserted_ - 1u - place;
        *to++ = static_cast<char>(kIndexed | (kStaticTableEntries + 1 + age));
        return to;
    }
    const std::string& bytes = may_insert_ ? field.insert : field.literal;
    if (may_insert_) place = inserted_++;
    std::memcpy(to, bytes.data(), bytes.size());
    return to + bytes.size();
}

char* HpackEncoder::encode(std::span<const HeaderField> fields, char* to) noexcept {
    static_assert(kStaticTableEntries + 1 + limits::kSharedFieldsMax < 127, "indices are one byte");
    to = encode_size_updates(to);
    for (const HeaderField& field : fields) {
        if (field.is_shared) {
            to = encode_shared(shared_->fields_[static_cast<std::uint8_t>(field.shared_id)], to);
        } else {
            const std::uint8_t kind = field.is_sensitive ? kNeverIndexed : kWithoutIndexing;
            to = encode_literal(kind, 4, field.name, field.value, encode_plain, to);
        }
    }
    return to;
}

}  // namespace sluice::http2
