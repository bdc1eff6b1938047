// Reads the records of one segment file, front to back, through one buffer.
//
// BLOCKS on the disk. For one thread. Memory: a window of 1 MiB, or of the largest record. Bytes
// that are no valid record are an answer (std::nullopt), not an error; errors are those of reading.
//
//   SegmentReader reader(*file, sequence, segment_bytes);
//   GroupCursor at{.offset = kBlockBytes, .group = header.first_group, .session = header.session};
//   SLUICE_TRY_ASSIGN(bool whole, read_group(reader, at, visit));   // moves `at` if whole
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "storage/wal/format.h"

namespace sluice::storage::wal {

class SegmentReader {
  public:
    struct Record {
        RecordHeader header;
        std::span<const std::byte> payload;  // valid until the next call
    };

    SegmentReader(io::File& file, std::uint64_t sequence, std::uint64_t segment_bytes);

    // The record at the offset, if the bytes there are one of this segment.
    Result<std::optional<Record>> record_at(std::uint64_t offset);

    // `bytes` bytes from the offset, fewer at the end of the file; valid until the next call.
    Result<std::span<const std::byte>> view(std::uint64_t offset, std::size_t bytes);

    std::uint64_t segment_bytes() const noexcept { return segment_bytes_; }

  private:
    io::File& file_;
    const std::uint64_t sequence_;
    const std::uint64_t segment_bytes_;
    std::vector<std::byte> window_;
    std::uint64_t window_offset_ = 0;
    std::size_t window_bytes_ = 0;
};

// Where the next group is expected, and what it must be called.
struct GroupCursor {
    std::uint64_t offset = kBlockBytes;
    std::uint64_t group = 0;
    std::uint32_t session = 0;
};

// Reads the group at the cursor: `visit` gets its records in order. True and the cursor behind it
// if the group is whole; false and the cursor unchanged if it is not (visit may have seen a part of
// it).
Result<bool> read_group(SegmentReader& reader, GroupCursor& at,
                        const std::function<Status(const SegmentReader::Record&)>& visit);

// The offset of a valid record of a group after `group` that starts a block at or behind `offset`:
// the proof that what stands at `offset` was durable once and is damaged now.
Result<std::optional<std::uint64_t>> find_later_group(SegmentReader& reader, std::uint64_t offset,
                                                      std::uint64_t group);

}  // namespace sluice::storage::wal
