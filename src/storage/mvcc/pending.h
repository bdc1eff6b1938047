// The changes of a group that are not committed yet: the newest record of each changed key, found
// by key or walked in key order, and the group's log entries, found by position. Internal to the
// Applier, which is its only user.
//
// A key that the group changes ten times is here once, and so costs RocksDB one insert.
//
// Bytes lie in an arena that is reused from group to group; views stay valid until clear(). Cost:
// one hash lookup a call; key order is made when first asked for, and then kept up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "storage/mvcc/record.h"

namespace sluice::storage {

// Bump allocation, no destructors.
class Arena {
  public:
    char* allocate(std::size_t bytes);
    void give_back(std::size_t bytes) noexcept { used_ -= bytes; }  // of the last allocation
    std::string_view copy(std::string_view bytes);
    void clear() noexcept;
    std::size_t memory_bytes() const noexcept;

  private:
    static constexpr std::size_t kBlockBytes = 256u << 10;
    static constexpr std::size_t kBlocksKept = 8;
    struct Block {
        std::unique_ptr<char[]> data;
        std::size_t size = 0;
    };
    std::vector<Block> blocks_;
    std::size_t block_ = 0;
    std::size_t used_ = 0;
};

class Pending {
  public:
    struct Entry {
        std::size_t hash = 0;
        std::string_view key;
        std::string_view record;  // never empty
    };

    Entry* find(std::size_t hash, std::string_view key) noexcept;
    const Entry* find(std::size_t hash, std::string_view key) const noexcept {
        return const_cast<Pending*>(this)->find(hash, key);
    }
    // record must lie in arena(); key is copied there if it is new.
    void set(std::size_t hash, std::string_view key, std::string_view record);

    // A log entry of the group lies at [offset, offset + size) of the RocksDB batch.
    struct LogRef {
        Position position;
        std::size_t offset = 0;
        std::size_t size = 0;
    };
    void add_log(LogRef ref);
    const LogRef* find_log(Position position) const noexcept;

    const std::vector<Entry>& entries() const noexcept { return entries_; }
    // Indices into entries() in key order.
    const std::vector<std::uint32_t>& sorted() const;

    Arena& arena() noexcept { return arena_; }
    bool empty() const noexcept { return entries_.empty(); }
    // Keeps the memory of an ordinary group, and gives back what a larger one took.
    void clear();
    std::size_t memory_bytes() const noexcept;  // held, used or not

  private:
    std::size_t slot_of(std::size_t hash, std::string_view key) const noexcept;
    void grow();

    Arena arena_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> table_;  // index + 1; 0: free; linear probing, at most half full
    std::vector<LogRef> log_;           // ascending
    mutable std::vector<std::uint32_t> sorted_;
    mutable bool in_order_ = false;
};

}  // namespace sluice::storage
