// Reads the whole log once, at open(): what it holds, where it ends, whether it is sound.
//
// Nothing is changed on disk. Memory does not grow with the log: entries are looked at, not kept.
// Cost: one sequential read of all segments; the CRC is a tenth of it.
//
// The end of the log is the first group that is not whole. If it is in the newest segment and no
// valid record of a later group lies behind it, it was never acknowledged (group n+1 is written
// only after group n is durable) and is cut. Otherwise acknowledged data is damaged: kDataLoss.
// The end of an older segment is written in the header of the next one and must be reached exactly.
// A segment gets its name after its header is durable, so a name without a header is damage, too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "storage/wal/format.h"
#include "storage/wal/log_index.h"
#include "storage/wal/records.h"
#include "storage/wal/segment_reader.h"

namespace sluice::storage::wal {

// A live segment.
struct SegmentInfo {
    std::string path;
    std::uint64_t sequence = 0;
    std::uint64_t bytes = 0;  // size of the file
    std::uint64_t end = 0;    // behind its last whole group
    std::uint64_t first_group = 0;
    std::uint64_t max_index = 0;  // largest entry index in it that is not truncated, 0: no entry
    std::uint32_t first_session = 0;
    bool has_state = false;        // it repeats hard state, configuration and snapshot mark
    std::uint64_t next_index = 0;  // no entry in it or behind it has a smaller index

    // Entries behind `kept` were dropped: what is in this segment is dead, and what comes may be
    // smaller than what it began with.
    void truncate_after(std::uint64_t kept) noexcept {
        max_index = std::min(max_index, kept);
        next_index = std::min(next_index, kept + 1);
    }
};

// Which entries a later truncation has dropped.
class Truncations {
  public:
    void add(std::uint64_t group, std::uint64_t kept);
    // Was the entry of this group dropped later?
    bool dropped(std::uint64_t group, std::uint64_t index) const;

  private:
    struct Cut {
        std::uint64_t group;
        std::uint64_t kept;
    };
    std::vector<Cut> cuts_;  // rising in both: a later cut that keeps less replaces earlier ones
};

struct Recovered {
    std::vector<SegmentInfo> segments;  // oldest first; empty: a new log
    LogIndex index;
    HardState hard_state;
    Configuration configuration;
    SnapshotMark snapshot;
    Truncations truncations;
    GroupCursor end;               // in the newest segment
    std::uint64_t last_group = 0;  // offset of the last whole group there; end.offset: none
    std::uint64_t cut_bytes = 0;
};

// The names in the log's directory.
std::string segment_name(std::uint64_t sequence);         // "0000000000000007.wal"
std::uint64_t segment_sequence(const std::string& name);  // 0: not a segment's name

Result<Recovered> recover(io::FileSystem& fs, const std::string& dir);

}  // namespace sluice::storage::wal
