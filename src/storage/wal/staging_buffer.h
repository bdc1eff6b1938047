// Where a group is laid out before its one write: records back to back, padded to whole blocks.
//
// The memory is aligned to a block and its size a multiple of one, so that the write may bypass the
// page cache. Payloads are copied: at the sizes of requests a copy is cheaper than a gather list
// (docs/decisions/0003-wal.md). For one thread; after a large group reset() gives memory back.
//
//   buffer.reset();
//   std::span<std::byte> payload = buffer.begin_record(RecordType::kEntry, bytes);
//   ... fill payload ...
//   std::span<const std::byte> group = buffer.finish();   // the last record is marked as such
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "storage/wal/format.h"

namespace sluice::storage::wal {

class StagingBuffer {
  public:
    // Starts a group for the segment `sequence`.
    void reset(std::uint64_t sequence, std::uint64_t group, std::uint32_t session);

    // The payload to fill, before the next call. Invalidates earlier payloads.
    std::span<std::byte> begin_record(RecordType type, std::size_t payload_bytes);
    void add_record(RecordType type, std::string_view payload);

    // At least one record. Whole blocks; valid until reset().
    std::span<const std::byte> finish();

    std::size_t capacity() const noexcept { return capacity_; }

  private:
    struct Free {
        void operator()(std::byte* memory) const {
            ::operator delete[](memory, std::align_val_t{kBlockBytes});
        }
    };
    void reserve(std::size_t bytes);
    void seal(bool last);

    std::unique_ptr<std::byte[], Free> memory_;
    std::size_t capacity_ = 0;
    std::size_t used_ = 0;
    std::size_t record_at_ = 0;  // the record that is not sealed yet
    bool open_ = false;
    RecordHeader header_;
    std::uint64_t sequence_ = 0;
};

}  // namespace sluice::storage::wal
