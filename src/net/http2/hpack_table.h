// A decoder's dynamic table (RFC 7541 section 2.3.2): what the peer's encoder has inserted.
//
// Compact: 8 bytes an entry and one ring of text, both absent until the first insert and grown by
// doubling. A name that has a HeaderId is not stored.
//
//   text ring       [ ..free.. | value | name value | value | ..free.. ]
//                              ^ oldest entry                ^ write_
//
// An entry's bytes are contiguous, so that a view of them can be handed out; when the gap at the
// ring's end is too small, the ring is skipped to its start, or compacted.
// Single-threaded; nothing suspends or blocks. Cost: lookup is two loads, an insert one memcpy.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/limits.h"
#include "net/http2/header_id.h"

namespace sluice::http2 {

class HpackTable {
  public:
    struct Entry {
        std::string_view name;
        std::string_view value;
        HeaderId id;
        bool name_valid;  // as the reader judged them on insert
        bool value_valid;
    };

    // The number of entries, and their size by HPACK's count (name + value + 32 each).
    std::uint32_t count() const noexcept { return count_; }
    std::uint32_t size() const noexcept { return size_; }
    std::uint32_t size_max() const noexcept { return size_max_; }

    // Changes the maximum (at most limits::kHpackTableBytes), evicting what no longer fits.
    void set_size_max(std::uint32_t size_max) noexcept;

    // The entry that was inserted `age` inserts before the newest one; age < count().
    Entry at(std::uint32_t age) const noexcept;

    // Evicts what has to go and inserts at age 0; an entry larger than the table leaves it empty.
    // Ends all views of older entries; name and value must not be such views.
    void insert(HeaderId id, std::string_view name, bool name_valid, std::string_view value,
                bool value_valid);

    // Gives back the room that the text does not need; entries stay. The next insert takes room
    // again. Ends all views.
    void trim();

    std::size_t memory_bytes() const noexcept;

  private:
    struct Record {
        std::uint16_t offset;     // of the name if it is stored, else of the value
        std::uint16_t name_size;  // 0 with an id
        std::uint16_t value_size;
        HeaderId id;
        bool name_valid : 1;
        bool value_valid : 1;
    };
    static_assert(sizeof(Record) == 8);

    Record& record(std::uint32_t number) const noexcept {
        return records_[number & (records_capacity_ - 1u)];
    }
    static std::uint32_t entry_size(const Record& record) noexcept;
    void evict_oldest() noexcept;
    void grow_records();
    bool find_text_room(std::uint32_t bytes, std::uint32_t& offset) const noexcept;
    void relocate_text(std::uint32_t capacity);

    std::unique_ptr<Record[]> records_;
    std::unique_ptr<char[]> text_;
    std::uint32_t inserted_ = 0;  // number of the newest entry
    std::uint32_t size_ = 0;
    std::uint32_t size_max_ = limits::kHpackTableBytes;
    std::uint16_t count_ = 0;
    std::uint16_t records_capacity_ = 0;
    std::uint16_t text_capacity_ = 0;
    std::uint16_t text_used_ = 0;  // bytes of the live entries
    std::uint16_t write_ = 0;      // where the next entry's text goes if there is room
};

}  // namespace sluice::http2
