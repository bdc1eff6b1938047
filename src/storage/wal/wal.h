// The write-ahead log of one member: Raft's records in preallocated, recycled segment files.
//
// A group is what goes to the disk together: write() lays it down with one pwrite, sync() makes it
// durable with one fdatasync. After sync() returned, the group survives kill -9 and power loss; a
// group that was not synced is there whole or not at all. The format is docs/formats/wal.md, the
// reasons are docs/decisions/0003-wal.md.
//
// Who may call: open(), write(), sync() and release_prefix() BLOCK on the disk and belong to one
// thread (consensus/log_writer.h). replay() blocks, too, and may run on another thread meanwhile.
// The accessors are for the writing thread. Nothing suspends a fiber.
//
// Failure: the first failed write or fdatasync is final. Every later call returns the same error:
// the kernel may have dropped the dirty pages, so a second fdatasync proves nothing.
//
// Opening: an incomplete last group is cut. Damage before a later complete group means that
// acknowledged data is gone: open() refuses with kDataLoss and names segment and offset.
//
// Memory: one staging buffer of the size of the largest recent group, one read buffer in replay(),
// and about 100 bytes a segment. Cost: docs/decisions/0003-wal.md.
//
//   SLUICE_TRY_ASSIGN(auto wal, Wal::open(fs, {.dir = "data/wal"}));
//   SLUICE_TRY(wal->replay(store_index, wal->last_index(), [&](const LogEntry& e) { ... }));
//   SLUICE_TRY(wal->write({.entries = entries, .hard_state = &state}));
//   SLUICE_TRY(wal->sync());                       // now acknowledge
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "io/file.h"
#include "storage/wal/records.h"

namespace sluice::storage {

struct WalOptions {
    std::string dir;  // created if missing (its parent must exist)
    std::uint64_t segment_bytes = limits::kWalSegmentBytes;
    // A new log starts with a small segment, so that a cold start does not write 64 MiB of zeros.
    std::uint64_t first_segment_bytes = limits::kWalFirstSegmentBytes;
    // Prepares the next segment on a thread of its own while the current one fills. Off: a spare is
    // used if there is one, else a small segment is made inline (deterministic tests).
    bool prepare_in_background = true;
    // sync() does nothing: what it acknowledges survives the process, not a loss of power. A start
    // after that may find a log that ends before the store, and refuses it.
    bool unsafe_no_fsync = false;
};

// One group, in the order in which recovery sees it: truncate_after, entries, the rest.
struct WalGroup {
    // Drop every entry behind this index first (a follower whose tail conflicts).
    std::optional<std::uint64_t> truncate_after = {};
    // Contiguous: the first follows last_index() (after the truncation). Views are read during
    // write() only.
    std::span<const LogEntry> entries = {};
    const HardState* hard_state = nullptr;
    const Configuration* configuration = nullptr;
    const SnapshotMark* snapshot = nullptr;

    bool empty() const noexcept {
        return !truncate_after && entries.empty() && !hard_state && !configuration && !snapshot;
    }
};

class Wal {
  public:
    // Opens or creates the log, checks every record, cuts a torn tail.
    // kDataLoss: damage in the middle. kFailedPrecondition: a format of a newer version.
    static Result<std::unique_ptr<Wal>> open(io::FileSystem& fs, WalOptions options);
    ~Wal();

    // The recovered state, then kept current by write().
    bool fresh() const noexcept;  // open() created the log
    const HardState& hard_state() const noexcept;
    const Configuration& configuration() const noexcept;
    const SnapshotMark& snapshot() const noexcept;
    std::uint64_t first_index() const noexcept;  // of the oldest entry kept; last_index()+1: none
    std::uint64_t last_index() const noexcept;
    // Term of the entry at the index; the mark's for its index; 0 if it is not kept.
    std::uint64_t term_at(std::uint64_t index) const noexcept;

    // Lays the group down. A group larger than limits::kWalGroupBytesMax is refused
    // (kInvalidArgument, not final), except that one entry up to kWalEntryBytesMax always fits.
    Status write(const WalGroup& group);
    // Makes everything written durable.
    Status sync();

    // Streams the entries with after < index <= to, in order; the views are valid during the call.
    // An error from `visit` ends the stream and is returned.
    Status replay(std::uint64_t after, std::uint64_t to,
                  const std::function<Status(const LogEntry&)>& visit);

    // Gives up whole segments whose entries are all <= index. A synced snapshot mark with
    // mark.index >= index must be in the log (checked). Up to limits::kWalSpareSegments of them are
    // kept for reuse, the rest is removed.
    Status release_prefix(std::uint64_t index);

    struct Stats {
        std::uint64_t groups = 0;
        std::uint64_t entries = 0;
        std::uint64_t payload_bytes = 0;
        std::uint64_t written_bytes = 0;  // with headers and padding
        std::uint64_t segments_created = 0;
        std::uint64_t segments_recycled = 0;
        std::uint64_t segments = 0;   // live now
        std::uint64_t cut_bytes = 0;  // torn tail found by open(); 0 where nothing tells it
    };
    Stats stats() const;

  private:
    struct Impl;
    explicit Wal(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::storage
