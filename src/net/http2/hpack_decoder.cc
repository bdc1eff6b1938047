#include "net/http2/hpack_decoder.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "net/http2/field_text.h"
#include "net/http2/hpack_integer.h"
#include "net/http2/huffman.h"

namespace sluice::http2 {
namespace {

constexpr std::uint32_t kEntryOverhead = 32;  // also in the header list size, RFC 9113 6.5.2

// Literals of listed headers and copies of listed table entries, both bounded by the list limit,
// and one header that is not listed: its literals and a copy of its name.
constexpr std::size_t kScratchTextBytes = 2 * limits::kHttp2HeaderListBytesMax +
                                          huffman_decoded_bound(limits::kHttp2HeaderBlockBytesMax) +
                                          limits::kHpackTableBytes;

bool is_one_byte_index(char c) noexcept {
    const auto byte = static_cast<std::uint8_t>(c);
    return byte > 0x80 && byte < 0xff;
}

}  // namespace

Scratch::Scratch() : text_(std::make_unique_for_overwrite<char[]>(kScratchTextBytes)) {
    headers_.reserve(32);
}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;

std::string_view Scratch::keep(std::string_view text) noexcept {
    SLUICE_CHECK(text.size() <= kScratchTextBytes - text_used_);
    char* to = text_.get() + text_used_;
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    text_used_ += text.size();
    return {to, text.size()};
}

// The part of a block that is not decoded yet, and what has been listed.
struct HpackDecoder::Input {
    const char* from;
    const char* end;
    std::uint32_t list_bytes_left;
    bool too_large = false;

    std::uint8_t peek() const noexcept { return static_cast<std::uint8_t>(*from); }
    bool integer(unsigned bits, std::uint32_t& value) noexcept {
        from = decode_integer(from, end, bits, value);
        return from != nullptr;
    }
    bool string(Scratch& scratch, std::string_view& text) noexcept;
};

bool HpackDecoder::Input::string(Scratch& scratch, std::string_view& text) noexcept {
    if (from == end) return false;
    const bool is_huffman = (peek() & 0x80) != 0;
    std::uint32_t size = 0;
    if (!integer(7, size) || size > static_cast<std::size_t>(end - from)) return false;
    const std::string_view encoded(from, size);
    from += size;
    if (!is_huffman) {
        text = encoded;
        return true;
    }
    SLUICE_CHECK(huffman_decoded_bound(size) <= kScratchTextBytes - scratch.text_used_);
    char* to = scratch.text_.get() + scratch.text_used_;
    const std::size_t decoded = huffman_decode(encoded, to);
    if (decoded == kHuffmanError) return false;
    scratch.text_used_ += decoded;
    text = {to, decoded};
    return true;
}

bool HpackDecoder::decode_indexed(std::uint32_t index, Header& header) const {
    if (index == 0) return false;
    if (index <= kStaticTableEntries) {
        header = {.name = static_name(index), .value = static_value(index), .id = static_id(index)};
        return true;
    }
    const std::uint32_t age = index - kStaticTableEntries - 1;
    if (age >= table_.count()) return false;
    const HpackTable::Entry entry = table_.at(age);
    header = {.name = entry.name,
              .value = entry.value,
              .id = entry.id,
              .valid = entry.name_valid && entry.value_valid,
              .is_table_view = true};
    return true;
}

// A header that was not referred to whole.
struct HpackDecoder::Literal {
    Header header;
    bool name_is_table_view = false;
    bool name_valid = true;
    bool value_valid = true;
};

bool HpackDecoder::decode_literal(Input& in, unsigned prefix_bits, Literal& literal,
                                  Scratch& scratch) const {
    Header& header = literal.header;
    std::uint32_t index = 0;
    if (!in.integer(prefix_bits, index)) return false;
    if (index > kStaticTableEntries) {
        const std::uint32_t age = index - kStaticTableEntries - 1;
        if (age >= table_.count()) return false;
        const HpackTable::Entry entry = table_.at(age);
        header.name = entry.name;
        header.id = entry.id;
        literal.name_is_table_view = entry.id == HeaderId::kNone;
        literal.name_valid = entry.name_valid;
    } else if (index > 0) {
        header.name = static_name(index);
        header.id = static_id(index);
    } else {
        if (!in.string(scratch, header.name)) return false;
        header.id = find_header_id(header.name);
        literal.name_valid = header.id != HeaderId::kNone || is_valid_name(header.name);
    }
    if (!in.string(scratch, header.value)) return false;
    literal.value_valid = is_valid_value(header.value);
    header.valid = literal.name_valid && literal.value_valid;
    return true;
}

// Before an insert, which may overwrite what earlier headers of this block are views of. Each
// header is copied once at most, so that no block makes this quadratic.
void HpackDecoder::keep_listed(Scratch& scratch) {
    auto& listed = scratch.headers_;
    for (; scratch.headers_kept_ < listed.size(); ++scratch.headers_kept_) {
        Header& header = listed[scratch.headers_kept_];
        if (!header.is_table_view) continue;
        if (header.id == HeaderId::kNone) header.name = scratch.keep(header.name);
        header.value = scratch.keep(header.value);
        header.is_table_view = false;
    }
}

void HpackDecoder::insert(Literal& literal, Scratch& scratch) {
    SLUICE_ASSERT(scratch.headers_kept_ == scratch.headers_.size());
    cached_size_ = 0;
    Header& header = literal.header;
    if (literal.name_is_table_view) header.name = scratch.keep(header.name);
    table_.insert(header.id, header.name, literal.name_valid, header.value, literal.value_valid);
}

bool HpackDecoder::resize(std::uint32_t size_max) {
    if (size_max > limits::kHpackTableBytes) return false;
    cached_size_ = 0;
    table_.set_size_max(size_max);
    return true;
}

bool HpackDecoder::decode_field(Input& in, Scratch& scratch) {
    const std::uint8_t first = in.peek();
    if ((first & 0xc0) == 0x40) keep_listed(scratch);
    const std::size_t text_used = scratch.text_used_;  // what follows is this header's own
    Literal literal;
    Header& header = literal.header;
    if ((first & 0x80) != 0) {
        std::uint32_t index = 0;
        if (!in.integer(7, index) || !decode_indexed(index, header)) return false;
    } else if ((first & 0x40) != 0) {
        if (!decode_literal(in, 6, literal, scratch)) return false;
        insert(literal, scratch);
    } else if ((first & 0x20) != 0) {
        return false;  // a size update is allowed at the start of a block only
    } else {
        if (!decode_literal(in, 4, literal, scratch)) return false;
        header.is_table_view = literal.name_is_table_view;
    }
    const std::size_t size = header.name.size() + header.value.size() + kEntryOverhead;
    if (in.too_large || size > in.list_bytes_left) {
        in.too_large = true;
        scratch.text_used_ = text_used;
        return true;
    }
    in.list_bytes_left -= static_cast<std::uint32_t>(size);
    scratch.headers_.push_back(header);
    return true;
}

HpackDecoder::Status HpackDecoder::decode(std::string_view block, std::uint32_t list_bytes_max,
                                          Scratch& scratch) {
    SLUICE_ASSERT(block.size() <= limits::kHttp2HeaderBlockBytesMax);
    SLUICE_ASSERT(list_bytes_max <= limits::kHttp2HeaderListBytesMax);
    scratch.headers_.clear();
    scratch.headers_kept_ = 0;
    scratch.text_used_ = 0;
    Input in{block.data(), block.data() + block.size(), list_bytes_max};
    while (in.from != in.end && (in.peek() & 0xe0) == 0x20) {
        std::uint32_t size_max = 0;
        if (!in.integer(5, size_max) || !resize(size_max)) return Status::kError;
    }
    while (in.from != in.end)
        if (!decode_field(in, scratch)) return Status::kError;
    return in.too_large ? Status::kListTooLarge : Status::kOk;
}

bool HpackDecoder::is_same_as_cached(std::string_view block) const noexcept {
    return !block.empty() && std::memcmp(block.data(), cached_block_.data(), block.size()) == 0;
}

void HpackDecoder::set_cached_tag(std::string_view block, std::uint64_t tag) noexcept {
    SLUICE_ASSERT(tag != 0);
    if (block.size() > kCachedBytesMax || block.empty()) return;
    if (!std::all_of(block.begin(), block.end(), is_one_byte_index)) return;
    std::memcpy(cached_block_.data(), block.data(), block.size());
    cached_size_ = static_cast<std::uint8_t>(block.size());
    cached_tag_ = tag;
}

}  // namespace sluice::http2
