// Reading versions: the newest record of a key, and from it the one at an older revision; one key
// at a time or in key order. Internal: shared by the store's readers and by the Applier, whose view
// has the group's pending changes on top.
//
// A View is a few pointers, made for one call. It never suspends; in ReadTier::kMemory it never
// touches the disk and answers kWouldBlock instead. kOutOfRange (compacted): the walk met data that
// was collected meanwhile.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/pending.h"
#include "storage/mvcc/record.h"

namespace sluice::storage {

// The group's uncommitted changes, as a View needs them.
struct Overlay {
    const Pending& pending;
    const std::string& batch;  // where the log entries lie
};

// Holds what a record's bytes lie in.
struct RecordHold {
    rocksdb::PinnableSlice pinned;
};

class View {
  public:
    View(const StoreCore& core, ReadTier tier, const Overlay* overlay = nullptr)
        : core_(core), tier_(tier), overlay_(overlay) {}

    // The newest record of a key, tombstones too; from RocksDB (or the overlay), not the hot cache.
    Result<Lookup> newest(std::size_t hash, std::string_view key, RecordHold& hold,
                          std::string_view& record) const;

    // Makes `record` the version that a reader at `at` sees. kAbsent: there was none, or a deleted
    // one. hold may hold the record that comes in.
    Result<Lookup> resolve(Revision at, RecordHold& hold, RecordView& record) const;

    const Pending::Entry* pending(std::size_t hash, std::string_view key) const noexcept {
        return overlay_ == nullptr ? nullptr : overlay_->pending.find(hash, key);
    }
    ReadTier tier() const noexcept { return tier_; }
    const StoreCore& core() const noexcept { return core_; }
    const Overlay* overlay() const noexcept { return overlay_; }

  private:
    Result<Lookup> replaced_at(Position position, RecordHold& hold, RecordView& record) const;

    const StoreCore& core_;
    const ReadTier tier_;
    const Overlay* const overlay_;
};

// The newest records of the keys in [begin, end) in key order, tombstones too.
//
//   LatestScan scan(view, begin, end);
//   for (auto at = scan.seek(); at && *at == Lookup::kFound; at = scan.next()) use(scan.key());
class LatestScan {
  public:
    // end: null for "to the last key". begin and *end must outlive the scan.
    LatestScan(const View& view, std::string_view begin, const std::string_view* end);

    Result<Lookup> seek();  // kAbsent: the end
    Result<Lookup> next();
    std::string_view key() const noexcept { return key_; }
    std::string_view record() const noexcept { return record_; }

  private:
    Result<Lookup> settle();
    bool overlay_valid() const noexcept;

    const View& view_;
    std::string_view begin_;
    const std::string_view* end_;
    rocksdb::Slice upper_;
    std::unique_ptr<rocksdb::Iterator> engine_;
    std::size_t overlay_at_ = 0;
    bool from_engine_ = false;
    bool from_overlay_ = false;
    std::string_view key_;
    std::string_view record_;
};

// Etcd's key ranges, see range.h.
struct KeyRange {
    KeyRange(std::string_view key, std::string_view range_end) noexcept
        : begin(key), end(range_end), single(range_end.empty()) {
        unbounded = range_end == std::string_view("\0", 1);
    }
    bool contains(std::string_view key) const noexcept {
        if (single) return key == begin;
        return key >= begin && (unbounded || key < end);
    }
    const std::string_view* bound() const noexcept { return unbounded ? nullptr : &end; }
    bool empty() const noexcept { return !single && !unbounded && end <= begin; }

    std::string_view begin;
    std::string_view end;
    bool single = false;
    bool unbounded = false;
};

inline KvView to_kv(std::string_view key, const RecordView& record) noexcept {
    return {key,         record.value, record.create_revision, record.position.main, record.version,
            record.lease};
}

Error damaged_error(std::string_view what);

}  // namespace sluice::storage
