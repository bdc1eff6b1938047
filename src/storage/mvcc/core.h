// What the files of this folder share: the open RocksDB, its column families, the hot cache, and
// the revisions that are visible. Internal: other folders include storage/mvcc/store.h.
//
// Order of publication, which every reader relies on:
//   writer: RocksDB batch -> hot cache -> compacted (release) -> visible (release)
//   reader: visible (acquire) -> hot cache or RocksDB, which are then at least as new as that
// A reader at revision R that meets a newer record walks back through the log, so it needs no
// RocksDB snapshot. What it may need is kept while R >= collect_floor: whoever reads for long pins
// R, whoever reads one key looks at collect_floor afterwards.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_buffer_manager.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/mvcc/hot_cache.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {

// How the memory limit is shared out.
struct MemoryPlan {
    std::size_t memtables = 0;     // all column families; a flush starts at 7/8 of it
    std::size_t memtable_one = 0;  // small ones cost less per insert
    std::size_t hot_cache = 0;
    std::size_t block_cache = 0;
};
MemoryPlan plan_memory(std::size_t limit_bytes) noexcept;

Error engine_error(const rocksdb::Status& status, std::string_view what);
Error compacted_error();
Error future_error();

inline rocksdb::Slice to_slice(std::string_view s) noexcept {
    return {s.data(), s.size()};
}
inline std::string_view to_view(const rocksdb::Slice& s) noexcept {
    return {s.data(), s.size()};
}

enum class Lookup : std::uint8_t { kFound, kAbsent, kWouldBlock };

struct StoreCore {
    StoreCore(StoreOptions store_options, MemoryPlan memory);
    ~StoreCore();

    Status open();

    // A Get that treats RocksDB's "maybe" answers as what they are: kWouldBlock in memory.
    Result<Lookup> engine_get(rocksdb::ColumnFamilyHandle* family, std::string_view key,
                              ReadTier tier, rocksdb::PinnableSlice& out) const;

    // For every iterator of ours. Nothing here ever writes a range tombstone, so they are ignored;
    // and that is needed: with them on, RocksDB 7.8's merging iterator drops the status of a level
    // whose next file could not be read (not in memory, or damaged), and goes on without its keys.
    static rocksdb::ReadOptions scan_options(ReadTier tier);

    // Keeps everything a reader at `revision` needs, until unpin. False: it is gone already.
    bool pin(Revision revision) const;
    // The same for the current revision, which it returns.
    Revision pin_current() const;
    void unpin(Revision revision) const;

    Result<StoreState> durable_state() const;  // what a crash now would leave
    void refresh_durable();                    // after a flush: publishes, calls the callback
    void refresh_pressure();                   // asks RocksDB; a few us
    void note_written(std::size_t bytes);      // refreshes the pressure now and then

    const StoreOptions options;
    const MemoryPlan plan;
    mutable HotCache hot;
    std::shared_ptr<rocksdb::Cache> block_cache;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
    std::unique_ptr<const rocksdb::CompactionFilter> tombstone_filter;  // both outlive db
    std::unique_ptr<const rocksdb::CompactionFilter> history_filter;
    std::unique_ptr<rocksdb::Env> late_sync_env;  // of a store that began empty; outlives db
    std::unique_ptr<rocksdb::DB> db;
    rocksdb::ColumnFamilyHandle* meta = nullptr;
    rocksdb::ColumnFamilyHandle* latest = nullptr;
    rocksdb::ColumnFamilyHandle* log = nullptr;

    std::atomic<Revision> visible{1};
    std::atomic<Revision> compacted{-1};      // readers below are refused
    std::atomic<Revision> collect_floor{-1};  // what only readers below need may be gone
    std::atomic<std::uint64_t> applied_index{0};
    std::atomic<std::uint64_t> applied_term{0};
    std::atomic<std::uint64_t> durable_index{0};
    std::atomic<std::int64_t> keys{0};
    std::atomic<double> pressure{0};
    std::atomic<std::int64_t> tombstones{0};  // written since `latest` was last compacted whole
    std::atomic<bool> applier_open{false};
    std::atomic<std::uint64_t> snapshots{0};

    std::mutex collect_mutex;  // one garbage collection at a time
    mutable std::mutex pin_mutex;
    mutable std::multiset<Revision> pins;  // guarded by pin_mutex, as writes of collect_floor
    std::mutex durable_mutex;
    std::function<void(std::uint64_t)> on_durable;  // guarded by durable_mutex
    std::atomic<std::size_t> unchecked_bytes{0};
    std::atomic<bool> opened{false};

  private:
    Status begin_empty();
    Result<rocksdb::DB*> open_engine(std::vector<rocksdb::ColumnFamilyHandle*>& handles);
    rocksdb::DBOptions db_options();
    rocksdb::ColumnFamilyOptions family_options(bool point_reads) const;
};

}  // namespace sluice::storage
