// The bytes of the log: segment header and record framing. docs/formats/wal.md draws them.
//
// Pure functions on bytes; they neither block, allocate (Configuration apart) nor suspend.
// A decoder answers std::nullopt for bytes that are not what they should be; it never reads past
// the span it was given.
//
// Why stale bytes are never taken for new ones: the CRC of a record is seeded with the sequence
// number of its segment, which a recycled file does not keep; groups are numbered without gaps over
// the log's whole life; and every open() starts a new session, so that the remains of a group that
// was cut cannot complete a later group of the same number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "storage/wal/records.h"

namespace sluice::storage::wal {

inline constexpr std::size_t kBlockBytes = 4096;  // a group starts on a block; unit of padding
inline constexpr std::size_t kRecordAlign = 8;
inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kEntryHeaderBytes = 24;  // before an entry's payload
inline constexpr std::uint32_t kFormatVersion = 1;

constexpr std::uint64_t align_up(std::uint64_t n, std::uint64_t to) noexcept {
    return (n + to - 1) / to * to;
}

enum class RecordType : std::uint8_t {
    kEntry = 1,
    kHardState = 2,
    kConfiguration = 3,
    kSnapshot = 4,
    kTruncate = 5,  // drop the entries behind an index
    kSession = 6,   // first group of an open(); no payload
};

struct SegmentHeader {
    std::uint32_t session = 0;
    std::uint64_t sequence = 0;       // of the segment, also its name
    std::uint64_t segment_bytes = 0;  // size of the file
    std::uint64_t first_group = 0;    // number of the first group in it
    std::uint64_t previous_end = 0;  // where the groups of segment sequence-1 end; 0: there is none
    std::uint64_t next_index = 0;    // of the next new entry when the segment was begun
    std::uint64_t previous_term = 0;  // of the entry before it

    bool operator==(const SegmentHeader&) const = default;
};

// Fills one block.
void encode_segment_header(const SegmentHeader& header, std::span<std::byte> block);
std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> block);
// The version that the block claims if it starts with the magic, whatever else is in it.
std::optional<std::uint32_t> claimed_version(std::span<const std::byte> block);

struct RecordHeader {
    std::uint32_t crc = 0;
    std::uint32_t payload_bytes = 0;
    std::uint64_t group = 0;
    std::uint32_t session = 0;
    RecordType type = RecordType::kEntry;
    bool last = false;  // of its group

    // Header and payload, up to where the next record may start.
    std::uint64_t extent() const noexcept {
        return align_up(kRecordHeaderBytes + payload_bytes, kRecordAlign);
    }
};

// Writes the header with its CRC; the payload already stands behind it in `record`, which is
// header plus payload without padding.
void seal_record(std::span<std::byte> record, RecordHeader header, std::uint64_t sequence);

// Reads a header and checks what can be checked without the payload.
std::optional<RecordHeader> decode_record_header(std::span<const std::byte> bytes);
// `record`: header plus payload.
bool record_crc_matches(std::span<const std::byte> record, const RecordHeader& header,
                        std::uint64_t sequence);

// Payloads.
void encode_entry_header(const LogEntry& entry, std::span<std::byte> out);  // kEntryHeaderBytes
std::optional<LogEntry> decode_entry(std::span<const std::byte> payload);   // body views payload
std::string encode_hard_state(const HardState& state);
std::optional<HardState> decode_hard_state(std::span<const std::byte> payload);
std::string encode_configuration(const Configuration& configuration);
std::optional<Configuration> decode_configuration(std::span<const std::byte> payload);
std::string encode_snapshot(const SnapshotMark& mark);
std::optional<SnapshotMark> decode_snapshot(std::span<const std::byte> payload);
std::string encode_index(std::uint64_t index);
std::optional<std::uint64_t> decode_index(std::span<const std::byte> payload);

}  // namespace sluice::storage::wal
