// HPACK decoding (RFC 7541): header blocks in, headers out, the dynamic table kept in step with the
// peer's encoder.
//
// A block is decoded to its end even when the header list grows over its limit: the table has to
// stay in step. Headers are views of the table, of the block, or of the scratch memory; they hold
// until the next decode() with that scratch.
//
// The block cache: a block of one-byte indexed fields only, equal to the previous such block with
// no insert in between, means the same headers; cached_tag() tells what the reader stored for it,
// and nothing needs decoding. gRPC clients without deadlines send such blocks for every call.
//
// Single-threaded; nothing suspends or blocks. Memory when unused: the object (about 100 bytes).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/limits.h"
#include "net/http2/header_block.h"
#include "net/http2/hpack_table.h"

namespace sluice::http2 {

class HpackDecoder {
  public:
    enum class Status : std::uint8_t {
        kOk,
        kListTooLarge,  // decoded, but the list was cut: sum(name + value + 32) over the limit
        kError,         // the table is out of step: COMPRESSION_ERROR, the connection ends
    };

    // `block` is a complete header block. Replaces the headers in `scratch`.
    Status decode(std::string_view block, std::uint32_t list_bytes_max, Scratch& scratch);

    static std::span<const Header> headers(const Scratch& scratch) noexcept {
        return scratch.headers_;
    }

    std::uint64_t cached_tag(std::string_view block) const noexcept {
        return block.size() == cached_size_ && is_same_as_cached(block) ? cached_tag_ : 0;
    }
    // Remembers a tag for `block`, which was the last one decoded; no effect if the block is not of
    // the cacheable form. tag is not 0.
    void set_cached_tag(std::string_view block, std::uint64_t tag) noexcept;

    // See HpackTable::trim().
    void trim() { table_.trim(); }

    const HpackTable& table() const noexcept { return table_; }
    std::size_t memory_bytes() const noexcept { return table_.memory_bytes(); }

  private:
    static constexpr std::size_t kCachedBytesMax = limits::kHpackCachedBlockBytes;

    bool is_same_as_cached(std::string_view block) const noexcept;

    struct Input;
    struct Literal;
    bool decode_field(Input& in, Scratch& scratch);
    bool decode_indexed(std::uint32_t index, Header& header) const;
    bool decode_literal(Input& in, unsigned prefix_bits, Literal& literal, Scratch& scratch) const;
    static void keep_listed(Scratch& scratch);
    void insert(Literal& literal, Scratch& scratch);
    bool resize(std::uint32_t size_max);

    HpackTable table_;
    std::uint64_t cached_tag_ = 0;
    std::array<char, kCachedBytesMax> cached_block_;
    std::uint8_t cached_size_ = 0;  // 0: nothing is cached
};

}  // namespace sluice::http2
