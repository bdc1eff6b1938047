// The bytes of the store: keys and values of its three column families (docs/formats/store.md).
//
// A record is one version of one key: in `latest` the newest, in `log` the one that a change
// replaced. Besides what etcd shows of a version it holds where it lies in the history of its key:
// its depth (1 for the first known version) and up to four jump pointers, to the newest older
// version whose depth is a multiple of 8, 64, 512, 4096. With them a walk back to an old revision
// takes O(log) steps; they follow from the previous record alone, so a put pays nothing to read.
//
// Every value starts with a tag byte and so is never empty: an empty value from RocksDB is its way
// of saying "not in memory" in one case (see engine_get in storage/mvcc/core.h).
//
// Plain functions on bytes: no allocation unless said, no blocking. Decoders accept any bytes and
// return false for what is not well formed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/mvcc/types.h"

namespace sluice::storage {

// Where a change lies in the log: the revision of its transaction and its place within it.
struct Position {
    Revision main = 0;
    std::uint32_t sub = 0;

    auto operator<=>(const Position&) const = default;
};

inline constexpr unsigned kJumpLevels = 4;  // depths that are multiples of 8, 64, 512, 4096
inline constexpr unsigned kJumpShift = 3;
inline constexpr std::size_t kPositionKeyBytes = 12;
inline constexpr std::size_t kLeaseKeyPrefixBytes = 9;
// A record without its value: tag, flags, 4 varints of 10 bytes, 4 jumps of 15, lease.
inline constexpr std::size_t kRecordHeadBytesMax =
    2 + 5 + 4 * 10 + kJumpLevels * 15 + 8;  // given: the format

struct RecordView {
    Position position;
    std::uint64_t depth = 1;
    unsigned jumps = 0;
    std::array<Position, kJumpLevels> jump;  // [0, jumps): ever older
    bool tombstone = false;
    Revision create_revision = 0;  // 0 for a tombstone, as the three below
    std::int64_t version = 0;
    LeaseId lease = 0;
    std::string_view value;  // into the bytes that were parsed
};

bool parse_record(std::string_view bytes, RecordView& out) noexcept;
// Only what decides whether a reader may see it. False: not well formed.
bool parse_record_position(std::string_view bytes, Position& position, bool& tombstone) noexcept;

// Writes the record that follows `previous` (null: none known) at `position` into out, which has
// room for kRecordHeadBytesMax + value.size(); returns its size. tombstone: version, lease and
// value are ignored.
struct NewRecord {
    Position position;
    bool tombstone = false;
    Revision create_revision = 0;
    std::int64_t version = 0;
    LeaseId lease = 0;
    std::string_view value;
};
std::size_t encode_record(const NewRecord& record, const RecordView* previous, char* out) noexcept;

// The place to look next on the way from `record` back to revision `at` < record.position.main:
// the log entry there holds the record replaced at that place, which is older.
Position walk_target(const RecordView& record, Revision at) noexcept;

// ---- log: position -> what was done to which key, and the record that it replaced
struct LogEntryView {
    bool is_delete = false;
    std::string_view key;
    std::string_view previous;  // a record; empty: there was none
};
void encode_position(Position position, char out[kPositionKeyBytes]) noexcept;
bool parse_position(std::string_view key, Position& out) noexcept;
// The bytes before the key of a log entry's value; then come the key and the previous record.
std::size_t encode_log_head(bool is_delete, bool has_previous, std::size_t key_bytes,
                            char out[12]) noexcept;
bool parse_log_entry(std::string_view bytes, LogEntryView& out) noexcept;

// ---- lease index, in the meta family: 'l' + lease id + key -> one tag byte
void encode_lease_prefix(LeaseId lease, char out[kLeaseKeyPrefixBytes]) noexcept;
inline constexpr char kLeaseIndexPrefix = 'l';
inline constexpr std::string_view kLeaseValue{"\xC5", 1};

// ---- meta
inline constexpr std::string_view kStateKey{"s", 1};
inline constexpr char kMetaPrefix = 'm';  // + the caller's key
inline constexpr char kMetaTag = '\xE5';  // + the caller's value

// What one commit leaves behind beside the data, in the same batch.
struct StoreState {
    std::uint64_t applied_index = 0;
    std::uint64_t applied_term = 0;
    Revision revision = 1;
    Revision compacted = -1;
    std::int64_t keys = 0;  // live ones
};
inline constexpr std::size_t kStateBytes = 1 + 5 * 8;
void encode_state(const StoreState& state, char out[kStateBytes]) noexcept;
bool parse_state(std::string_view bytes, StoreState& out) noexcept;

}  // namespace sluice::storage
