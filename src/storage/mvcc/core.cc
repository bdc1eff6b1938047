#include "storage/mvcc/core.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/check.h"
#include "storage/mvcc/late_sync.h"

namespace sluice::storage {
namespace {

constexpr std::size_t kPressureCheckBytes = 256u << 10;

// Drops deletions that no reader can need any more. Stateless: a tombstone older than the floor
// hides only versions that are older still, and RocksDB turns what is removed here into a deletion
// marker, so nothing older comes back.
class TombstoneFilter final : public rocksdb::CompactionFilter {
  public:
    explicit TombstoneFilter(const std::atomic<Revision>& floor) : floor_(floor) {}
    const char* Name() const override { return "sluice.tombstones"; }
    bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*,
                bool*) const override {
        Position position;
        bool tombstone = false;
        return parse_record_position(to_view(value), position, tombstone) && tombstone &&
               position.main < floor_.load(std::memory_order_relaxed);
    }

  private:
    const std::atomic<Revision>& floor_;
};

// Drops log entries below the floor: each holds only a version that was replaced there. A filter
// and not DeleteRange, so that there are no range tombstones (see StoreCore::scan_options).
class HistoryFilter final : public rocksdb::CompactionFilter {
  public:
    explicit HistoryFilter(const std::atomic<Revision>& floor) : floor_(floor) {}
    const char* Name() const override { return "sluice.history"; }
    bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*,
                bool*) const override {
        Position position;
        return parse_position(to_view(key), position) &&
               position.main < floor_.load(std::memory_order_relaxed);
    }

  private:
    const std::atomic<Revision>& floor_;
};

Error open_error(const rocksdb::Status& status, const std::string& dir) {
    if (status.ToString().find("LOCK") != std::string::npos) {
        return {Code::kFailedPrecondition, "store: " + dir + " is in use by another process"};
    }
    return engine_error(status, "open " + dir);
}

class Listener final : public rocksdb::EventListener {
  public:
    explicit Listener(StoreCore& core) : core_(core) {}
    void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
        if (!core_.opened.load(std::memory_order_acquire)) return;
        core_.refresh_durable();
        core_.refresh_pressure();
    }
    void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
        if (core_.opened.load(std::memory_order_acquire)) core_.refresh_pressure();
    }

  private:
    StoreCore& core_;
};

}  // namespace

MemoryPlan plan_memory(std::size_t limit_bytes) noexcept {
    const std::size_t limit = std::max(limit_bytes, limits::kStoreMemoryMin);
    MemoryPlan plan;
    plan.memtables = std::clamp(limit / 4, std::size_t{4} << 20, std::size_t{256} << 20);
    plan.memtable_one = std::clamp(plan.memtables / 4, std::size_t{1} << 20, std::size_t{8} << 20);
    plan.hot_cache = limit / 8;
    SLUICE_CHECK(plan.memtables + plan.hot_cache < limit);
    plan.block_cache = limit - plan.memtables - plan.hot_cache;
    return plan;
}

Error engine_error(const rocksdb::Status& status, std::string_view what) {
    const Code code = status.IsCorruption() ? Code::kDataLoss
                      : status.IsNoSpace()  ? Code::kResourceExhausted
                                            : Code::kInternal;
    return Error(code, "store: " + std::string(what) + ": " + status.ToString());
}

Error compacted_error() {
    return {Code::kOutOfRange, "etcdserver: mvcc: required revision has been compacted"};
}

Error future_error() {
    return {Code::kOutOfRange, "etcdserver: mvcc: required revision is a future revision"};
}

StoreCore::StoreCore(StoreOptions store_options, MemoryPlan memory)
    : options(std::move(store_options)),
      plan(memory),
      hot(memory.hot_cache),
      block_cache(rocksdb::NewLRUCache(memory.block_cache, memory.block_cache < (32u << 20) ? 2 : 4,
                                       false, 0.2)),
      write_buffers(std::make_shared<rocksdb::WriteBufferManager>(memory.memtables)) {}

StoreCore::~StoreCore() {
    SLUICE_CHECK(!applier_open.load());
    SLUICE_CHECK(pins.empty());
    if (db == nullptr) return;
    // Flushes (if options say so) and waits: after it no listener runs that uses the handles.
    rocksdb::CancelAllBackgroundWork(db.get(), true);
    opened.store(false, std::memory_order_release);
    for (auto* family : {meta, latest, log}) db->DestroyColumnFamilyHandle(family);
    db->Close();
    db.reset();
}

rocksdb::DBOptions StoreCore::db_options() {
    rocksdb::DBOptions db_options;
    db_options.create_if_missing = true;
    db_options.create_missing_column_families = true;
    db_options.atomic_flush = true;
    db_options.max_open_files = -1;  // a bounded table cache answers memory-only Gets wrongly
    db_options.max_file_opening_threads = 4;
    db_options.max_background_jobs = static_cast<int>(std::max(2u, options.background_threads + 1));
    db_options.allow_concurrent_memtable_write = false;  // one writer
    db_options.enable_write_thread_adaptive_yield = false;
    db_options.avoid_unnecessary_blocking_io = true;
    db_options.avoid_flush_during_shutdown = !options.flush_on_close;
    db_options.bytes_per_sync = 1u << 20;
    db_options.write_buffer_manager = write_buffers;
    db_options.info_log_level = rocksdb::WARN_LEVEL;
    db_options.keep_log_file_num = 2;
    db_options.max_log_file_size = 1u << 20;
    db_options.stats_dump_period_sec = 0;
    db_options.stats_persist_period_sec = 0;
    db_options.skip_stats_update_on_db_open = true;
    if (late_sync_env != nullptr) db_options.env = late_sync_env.get();
    db_options.listeners.push_back(std::make_shared<Listener>(*this));
    return db_options;
}

rocksdb::ColumnFamilyOptions StoreCore::family_options(bool point_reads) const {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = block_cache;
    table.block_size = 4096;
    table.format_version = 5;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    if (point_reads) {
        table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
        table.partition_filters = true;
    }
    rocksdb::ColumnFamilyOptions family;
    family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    family.compression = rocksdb::kLZ4Compression;
    family.level_compaction_dynamic_level_bytes = true;
    family.write_buffer_size = plan.memtable_one;
    family.arena_block_size = 128u << 10;
    family.max_write_buffer_number = 64;  // memory is bounded by pressure(), not by stopping here
    family.target_file_size_base = 16u << 20;
    family.max_bytes_for_level_base = 64u << 20;
    family.level0_file_num_compaction_trigger = 4;
    family.level0_slowdown_writes_trigger = std::numeric_limits<int>::max();
    family.level0_stop_writes_trigger = std::numeric_limits<int>::max();
    family.soft_pending_compaction_bytes_limit = 0;
    family.hard_pending_compaction_bytes_limit = 0;
    return family;
}

// Nothing was ever flushed here: what may lie here is of an earlier start, perhaps not durable, and
// holds nothing. The log has everything, because only a flush lets it go.
Status StoreCore::begin_empty() {
    std::error_code error;
    std::filesystem::create_directories(options.dir, error);
    const bool empty = std::filesystem::is_empty(options.dir, error);
    if (error) {
        return fail(Code::kInternal, "store: create " + options.dir + ": " + error.message());
    }
    if (!empty) {
        const auto status = rocksdb::DestroyDB(options.dir, rocksdb::Options());
        if (!status.ok()) return fail(open_error(status, options.dir));
    }
    late_sync_env = rocksdb::NewCompositeEnv(
        std::make_shared<LateSyncFileSystem>(rocksdb::FileSystem::Default(), options.dir));
    return {};
}

Result<rocksdb::DB*> StoreCore::open_engine(std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
    auto latest_options = family_options(true);
    auto log_options = family_options(false);
    tombstone_filter = std::make_unique<TombstoneFilter>(collect_floor);
    history_filter = std::make_unique<HistoryFilter>(collect_floor);
    latest_options.compaction_filter = tombstone_filter.get();
    log_options.compaction_filter = history_filter.get();
    // Inserts of one group go in key order: start each search where the last one ended.
    latest_options.memtable_insert_with_hint_prefix_extractor.reset(
        rocksdb::NewCappedPrefixTransform(0));
    const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
        {rocksdb::kDefaultColumnFamilyName, family_options(true)},
        {"latest", latest_options},
        {"log", log_options},
    };
    rocksdb::DB* raw = nullptr;
    const auto status = rocksdb::DB::Open(db_options(), options.dir, families, &handles, &raw);
    if (!status.ok()) return fail(open_error(status, options.dir));
    return raw;
}

Status StoreCore::open() {
    SLUICE_TRY_ASSIGN(const bool flushed_before, has_table_files(options.dir));
    if (!flushed_before) SLUICE_TRY(begin_empty());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    SLUICE_TRY_ASSIGN(rocksdb::DB* const raw, open_engine(handles));
    db.reset(raw);
    meta = handles[0];
    latest = handles[1];
    log = handles[2];
    SLUICE_TRY_ASSIGN(const StoreState state, durable_state());
    visible.store(state.revision);
    compacted.store(state.compacted);
    collect_floor.store(state.compacted);
    applied_index.store(state.applied_index);
    applied_term.store(state.applied_term);
    durable_index.store(state.applied_index);
    keys.store(state.keys);
    opened.store(true, std::memory_order_release);
    return {};
}

Result<Lookup> StoreCore::engine_get(rocksdb::ColumnFamilyHandle* family, std::string_view key,
                                     ReadTier tier, rocksdb::PinnableSlice& out) const {
    rocksdb::ReadOptions read;
    read.read_tier = tier == ReadTier::kMemory ? rocksdb::kBlockCacheTier : rocksdb::kReadAllTier;
    out.Reset();
    const auto status = db->Get(read, family, to_slice(key), &out);
    if (status.IsNotFound()) return Lookup::kAbsent;
    if (status.IsIncomplete()) return Lookup::kWouldBlock;
    if (!status.ok()) return fail(engine_error(status, "read"));
    if (!out.empty()) return Lookup::kFound;
    // No value of ours is empty: this is RocksDB's "the key may exist, not in memory".
    if (tier == ReadTier::kMemory) return Lookup::kWouldBlock;
    return fail(Code::kDataLoss, "store: an empty value where there can be none");
}

rocksdb::ReadOptions StoreCore::scan_options(ReadTier tier) {
    rocksdb::ReadOptions read;
    read.read_tier = tier == ReadTier::kMemory ? rocksdb::kBlockCacheTier : rocksdb::kReadAllTier;
    read.ignore_range_deletions = true;
    return read;
}

bool StoreCore::pin(Revision revision) const {
    std::lock_guard lock(pin_mutex);
    if (revision < collect_floor.load(std::memory_order_relaxed)) return false;
    pins.insert(revision);
    return true;
}

Revision StoreCore::pin_current() const {
    std::lock_guard lock(pin_mutex);
    const Revision revision = visible.load(std::memory_order_acquire);
    SLUICE_ASSERT(revision >= collect_floor.load(std::memory_order_relaxed));
    pins.insert(revision);
    return revision;
}

void StoreCore::unpin(Revision revision) const {
    std::lock_guard lock(pin_mutex);
    const auto it = pins.find(revision);
    SLUICE_CHECK(it != pins.end());
    pins.erase(it);
}

Result<StoreState> StoreCore::durable_state() const {
    rocksdb::ReadOptions read;
    read.read_tier = rocksdb::kPersistedTier;
    rocksdb::PinnableSlice value;
    StoreState state;
    const auto status = db->Get(read, meta, to_slice(kStateKey), &value);
    if (status.IsNotFound()) return state;
    if (!status.ok()) return fail(engine_error(status, "read the applied position"));
    if (!parse_state(to_view(value), state)) {
        return fail(Code::kDataLoss, "store: the applied position is damaged");
    }
    return state;
}

void StoreCore::refresh_durable() {
    const auto state = durable_state();
    if (!state) return;  // a later flush, or the next write, meets the same fault and reports it
    std::lock_guard lock(durable_mutex);
    if (state->applied_index <= durable_index.load(std::memory_order_relaxed)) return;
    durable_index.store(state->applied_index, std::memory_order_release);
    if (on_durable) on_durable(state->applied_index);
}

void StoreCore::note_written(std::size_t bytes) {
    if (unchecked_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes < kPressureCheckBytes) {
        return;
    }
    unchecked_bytes.store(0, std::memory_order_relaxed);
    refresh_pressure();
}

void StoreCore::refresh_pressure() {
    // Memtables: calm up to 1.5 times their share (a flush is running), full at 3 times.
    const double memory =
        static_cast<double>(write_buffers->memory_usage()) / static_cast<double>(plan.memtables);
    double worst = (memory - 1.5) / 1.5;
    for (auto* family : {latest, log}) {
        std::uint64_t debt = 0;
        std::uint64_t files = 0;
        db->GetIntProperty(family, rocksdb::DB::Properties::kEstimatePendingCompactionBytes, &debt);
        std::string text;
        if (db->GetProperty(family, rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0", &text)) {
            files = std::strtoull(text.c_str(), nullptr, 10);
        }
        worst = std::max(worst, (static_cast<double>(files) - 20.0) / 20.0);
        const double debt_gb = static_cast<double>(debt) / static_cast<double>(1u << 30);
        worst = std::max(worst, (debt_gb - 4.0) / 12.0);
    }
    pressure.store(std::clamp(worst, 0.0, 1.0), std::memory_order_relaxed);
}

}  // namespace sluice::storage
