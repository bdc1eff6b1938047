// HPACK encoding (RFC 7541) by one rule: fields that all connections share (SharedFields) go into
// the peer's dynamic table once and are one byte from then on; everything else is a literal without
// indexing. So the table holds a known set that fits, nothing is ever evicted, and the encoder
// needs no copy of it: 64 bytes a connection.
//
// If the peer allows a table too small for all shared fields, they are sent as literals too.
// Single-threaded; nothing suspends, blocks or allocates.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "net/http2/header_field.h"

namespace sluice::http2 {

class HpackEncoder {
  public:
    // `shared` may be null and outlives the encoder.
    explicit HpackEncoder(const SharedFields* shared) noexcept;

    // The peer's SETTINGS_HEADER_TABLE_SIZE, any value.
    void set_peer_table_bytes(std::uint32_t bytes) noexcept;

    // At least as many bytes as encode() will write for these fields.
    std::size_t encoded_bound(std::span<const HeaderField> fields) const noexcept;

    // Writes a header block. Blocks must reach the peer in the order in which they were encoded.
    // Returns the end.
    char* encode(std::span<const HeaderField> fields, char* to) noexcept;

  private:
    static constexpr std::uint8_t kNotInserted = 0xff;

    char* encode_size_updates(char* to) noexcept;
    char* encode_shared(const SharedFields::Field& field, char* to) noexcept;

    const SharedFields* shared_;
    std::uint32_t table_bytes_ = limits::kHpackTableBytes;    // that the peer's decoder uses now
    std::uint32_t announced_min_ = limits::kHpackTableBytes;  // smallest that it asked for since
    std::uint32_t wanted_bytes_ = limits::kHpackTableBytes;   // what it asked for last
    bool may_insert_ = false;
    std::uint8_t inserted_ = 0;
    std::array<std::uint8_t, limits::kSharedFieldsMax> place_;  // slot -> how many came before it
};

}  // namespace sluice::http2
