// The multi-version key-value store of one node, over RocksDB.
//
// What it is. Every committed write transaction makes one revision; reads see the store at any
// revision since the last compaction. The Raft log is the log: RocksDB's own is off. Each commit
// puts the applied index in the same atomic batch as the data, and all column families flush
// together, so what a crash leaves is exactly the state at durable_applied_index(); the caller
// replays its log from there. docs/formats/store.md draws keys and values,
// docs/decisions/0004-store-layout.md says why it is laid out so.
//
// Who may call. One writer at a time (Applier, storage/mvcc/applier.h), any number of readers on
// any thread or fiber. Nothing here suspends a fiber. What may block on the disk says so: call it
// on the blocking pool. Everything else may take a mutex for well under a microsecond.
//
// Errors. kOutOfRange carries etcd's exact texts for compacted and future revisions. kInternal
// and kDataLoss mean that the engine failed: the node must stop serving.
//
//   auto store = MvccStore::open({.dir = "data/store", .memory_limit_bytes = 256u << 20});
//   Applier applier(**store);
//   applier.begin_txn();
//   SLUICE_TRY(applier.put("a", "1", 0));
//   applier.end_txn(nullptr);
//   SLUICE_TRY(applier.commit(index, term));
//   RangeResult out;
//   auto step = (*store)->range({.key = "a"}, ReadTier::kMemory, out);
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/types.h"

namespace sluice::storage {

class SnapshotReader;
struct StoreCore;

struct StoreOptions {
    std::string dir;  // created if missing; one process at a time (kFailedPrecondition if locked)
    // Caches and memtables together. The process uses about this plus 15 MB plus 0.5 MB a million
    // keys. At least limits::kStoreMemoryMin.
    std::size_t memory_limit_bytes = limits::kStoreMemoryDefault;
    unsigned background_threads = 1;  // flushes and compactions
    bool flush_on_close = true;       // false: close as a crash would (tests)
};

// The events of whole transactions, for watchers that read the past.
struct HistoryQuery {
    struct Range {
        std::string_view key;
        std::string_view range_end = {};  // etcd's convention, see range.h
    };

    Revision from = 0;                                   // first revision wanted
    Revision to = 0;                                     // last one; 0: the current revision
    std::vector<Range> ranges = {};                      // events in any of these; none: all events
    bool with_prev = true;                               // fill Event::prev
    std::size_t bytes_max = limits::kHistorySliceBytes;  // stop after about so many event bytes
    std::int64_t entries_max = limits::kHistorySliceEntries;  // log entries looked at
};

struct HistoryResult {
    ReadStep step = ReadStep::kDone;
    Revision next = 0;  // where to go on: set HistoryQuery::from to this for the next slice
};

struct StoreStats {
    std::int64_t keys = 0;             // live keys at the current revision
    std::uint64_t memtable_bytes = 0;  // not yet flushed, and being flushed
    std::uint64_t table_files = 0;
    std::uint64_t level0_files = 0;
    std::uint64_t pending_compaction_bytes = 0;
    std::uint64_t block_cache_bytes = 0;
    std::uint64_t hot_cache_bytes = 0;
    std::uint64_t hot_cache_hits = 0;  // since open, readers and the writer
    std::uint64_t hot_cache_misses = 0;
};

class MvccStore {
  public:
    // Opens or creates. Reads no keys: 10-40 ms at any size. Blocks.
    static Result<std::unique_ptr<MvccStore>> open(StoreOptions options);
    // Flushes (unless told otherwise) and closes. Blocks. No Applier, cursor or snapshot may live.
    ~MvccStore();
    MvccStore(const MvccStore&) = delete;
    MvccStore& operator=(const MvccStore&) = delete;

    // ---- where the store is. Each is one atomic load.
    Revision current_revision() const noexcept;    // 1 when empty
    Revision compacted_revision() const noexcept;  // -1: never compacted
    std::uint64_t applied_index() const noexcept;  // of the last commit
    std::uint64_t applied_term() const noexcept;

    // ---- reads
    // One key at `revision` (0: current). Calls sink.on_kv once if the key exists. Costs one lookup
    // in the hot cache (0.2 us) or one RocksDB Get (2-6 us); the sink gets the bytes uncopied.
    // Returns kDone or kWouldBlock, never kMore. *found and *store_revision may be null; the second
    // is set before the sink is called.
    Result<ReadStep> get(std::string_view key, Revision revision, ReadTier tier, KvSink& sink,
                         bool* found = nullptr, Revision* store_revision = nullptr) const;

    // A whole range in one call, sorted and cut as etcd does it: for small ranges and tests.
    // Returns kDone or kWouldBlock (then *out is empty: repeat with kAny). Long ones: RangeCursor.
    Result<ReadStep> range(const RangeQuery& query, ReadTier tier, RangeResult& out) const;

    // Appends the event batches of revisions [from, to] to *out, whole revisions only, in order;
    // revisions without a matching event are left out. from < compacted_revision(): kOutOfRange,
    // compacted (from == compacted is legal). from > current: nothing. prev is etcd's: absent and
    // prev_known = false where the version before lies below the compacted revision.
    Result<HistoryResult> read_history(const HistoryQuery& query, ReadTier tier,
                                       std::vector<EventBatch>& out) const;

    // The keys attached to a lease, sorted, as of the last commit. May block.
    Result<std::vector<std::string>> keys_of_lease(LeaseId lease) const;

    // Small records of other parts (leases, alarms, members) that are written by Applier::set_meta.
    // May block. get_meta: kNotFound if there is none.
    Result<std::string> get_meta(std::string_view key) const;
    Status scan_meta(
        std::string_view prefix,
        const std::function<void(std::string_view key, std::string_view value)>& each) const;

    // ---- compaction. Applier::compact() makes it official; this removes what is then garbage.
    // Blocks until the data is physically gone (CompactionRequest.physical waits for it); callers
    // at once share one run. Never stops the writer. Waits for no reader: what a RangeCursor pins
    // is left for the next run.
    Status collect_garbage();
    Revision collected_revision() const noexcept;  // everything below it is physically gone

    // ---- durability
    // What a crash would leave. Raft log entries up to here are no longer needed. One atomic load.
    std::uint64_t durable_applied_index() const noexcept;
    // Called after each flush with the new durable index, on a RocksDB thread: it must be short,
    // and must not call the store. Set it before the first commit; it may be called until the
    // destructor has returned.
    void on_durable(std::function<void(std::uint64_t applied_index)> callback);
    // Makes all that is committed durable. Blocks (1-50 ms). start_flush only starts it.
    Status flush();
    Status start_flush();

    // 0: calm. 1: stop proposing until it falls. Between: slow down in proportion. The store itself
    // never delays a write; memory and disk debt are bounded only if the proposer heeds this. One
    // atomic load; refreshed as data is written and as flushes and compactions end.
    double pressure() const noexcept;

    // ---- maintenance. All of these may block.
    std::uint64_t size_bytes() const;  // on disk and in memtables: what a quota is held against
    std::uint64_t size_in_use_bytes() const;  // of that, an estimate of what is live
    StoreStats stats() const;
    // Rewrites all data into the fewest files (Defragment). Reads and writes go on meanwhile.
    Status compact_range();
    // CRC32C over every pair live at `revision` (0: current): key, value, create, mod, version,
    // lease. Equal on every node that holds equal data. Walks all keys.
    struct HashResult {
        std::uint32_t hash = 0;
        Revision compact_revision = 0;
        Revision hash_revision = 0;  // the revision hashed
        Revision store_revision = 0;
    };
    Result<HashResult> hash_kv(Revision revision) const;
    // hash_kv of the current revision, and over the meta records.
    Result<std::uint32_t> hash() const;
    // A consistent copy in `dir` (must not exist; same file system: hard links), openable as a
    // store.
    Status checkpoint(const std::string& dir) const;
    // The same as one stream of bytes, see storage/mvcc/snapshot.h.
    Result<std::unique_ptr<SnapshotReader>> snapshot() const;

    // For the other files of this folder.
    StoreCore& core() const noexcept { return *core_; }

  private:
    explicit MvccStore(std::unique_ptr<StoreCore> core);

    std::unique_ptr<StoreCore> core_;
};

}  // namespace sluice::storage
