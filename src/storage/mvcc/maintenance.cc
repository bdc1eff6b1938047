// MvccStore: garbage collection, flushing, sizes, checkpoints.
#include <rocksdb/convenience.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>

#include "base/check.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

// Above this many deletions, and this share of the keys, collecting rewrites `latest` at once.
constexpr std::int64_t kTombstonesRewrite = 10'000;
constexpr std::int64_t kTombstonesShare = 4;

std::vector<rocksdb::ColumnFamilyHandle*> families(const StoreCore& core) {
    return {core.meta, core.latest, core.log};
}

std::uint64_t sum_property(const StoreCore& core, const std::string& property) {
    std::uint64_t sum = 0;
    for (auto* family : families(core)) {
        std::uint64_t value = 0;
        if (core.db->GetIntProperty(family, property, &value)) sum += value;
    }
    return sum;
}

Status delete_log_below(StoreCore& core, Revision floor) {
    char begin_bytes[kPositionKeyBytes];
    char end_bytes[kPositionKeyBytes];
    encode_position({0, 0}, begin_bytes);
    encode_position({floor, 0}, end_bytes);
    const rocksdb::Slice begin(begin_bytes, sizeof begin_bytes);
    const rocksdb::Slice end(end_bytes, sizeof end_bytes);
    auto status = rocksdb::DeleteFilesInRange(core.db.get(), core.log, &begin, &end, false);
    if (!status.ok()) return fail(engine_error(status, "remove old history files"));
    // What is left lies in the files that reach across the floor; their filter drops it.
    rocksdb::CompactRangeOptions compact;
    compact.exclusive_manual_compaction = false;
    compact.allow_write_stall = true;  // nothing here ever stalls a write
    status = core.db->CompactRange(compact, core.log, &begin, &end);
    if (!status.ok()) return fail(engine_error(status, "compact old history"));
    return {};
}

Status compact_family(StoreCore& core, rocksdb::ColumnFamilyHandle* family) {
    rocksdb::CompactRangeOptions compact;
    compact.exclusive_manual_compaction = false;
    compact.allow_write_stall = true;
    const auto status = core.db->CompactRange(compact, family, nullptr, nullptr);
    if (!status.ok()) return fail(engine_error(status, "compact"));
    return {};
}

}  // namespace

Status MvccStore::collect_garbage() {
    StoreCore& core = *core_;
    std::lock_guard one_at_a_time(core.collect_mutex);
    const Revision target = compacted_revision();
    if (target <= collected_revision()) return {};
    // Files are removed for good at once, but the order to compact is durable only once it is
    // flushed: a crash in between must not find history missing that it still refers to.
    SLUICE_TRY_ASSIGN(const StoreState durable, core.durable_state());
    if (durable.compacted < target) SLUICE_TRY(flush());
    Revision floor = target;
    {
        std::lock_guard lock(core.pin_mutex);
        if (!core.pins.empty()) floor = std::min(floor, *core.pins.begin());
        if (floor <= collected_revision()) return {};
        core.collect_floor.store(floor, std::memory_order_release);
    }
    SLUICE_TRY(delete_log_below(core, floor));
    const std::int64_t tombstones = core.tombstones.load(std::memory_order_relaxed);
    if (tombstones > kTombstonesRewrite &&
        tombstones * kTombstonesShare > core.keys.load(std::memory_order_relaxed)) {
        core.tombstones.fetch_sub(tombstones, std::memory_order_relaxed);
        return compact_family(core, core.latest);
    }
    return {};
}

void MvccStore::on_durable(std::function<void(std::uint64_t)> callback) {
    std::lock_guard lock(core_->durable_mutex);
    core_->on_durable = std::move(callback);
}

Status MvccStore::flush() {
    rocksdb::FlushOptions options;
    options.wait = true;
    options.allow_write_stall = true;
    const auto status = core_->db->Flush(options, families(*core_));
    if (!status.ok()) return fail(engine_error(status, "flush"));
    core_->refresh_durable();
    return {};
}

Status MvccStore::start_flush() {
    rocksdb::FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;
    const auto status = core_->db->Flush(options, families(*core_));
    if (!status.ok()) return fail(engine_error(status, "flush"));
    return {};
}

std::uint64_t MvccStore::size_bytes() const {
    return sum_property(*core_, rocksdb::DB::Properties::kTotalSstFilesSize) +
           sum_property(*core_, rocksdb::DB::Properties::kSizeAllMemTables);
}

std::uint64_t MvccStore::size_in_use_bytes() const {
    const auto live = sum_property(*core_, rocksdb::DB::Properties::kEstimateLiveDataSize) +
                      sum_property(*core_, rocksdb::DB::Properties::kCurSizeAllMemTables);
    return std::min(live, size_bytes());
}

StoreStats MvccStore::stats() const {
    const StoreCore& core = *core_;
    StoreStats stats;
    stats.keys = core.keys.load(std::memory_order_relaxed);
    stats.memtable_bytes = core.write_buffers->memory_usage();
    for (auto* family : families(core)) {
        for (int level = 0; level < core.db->NumberLevels(family); ++level) {
            std::string text;
            core.db->GetProperty(
                family, rocksdb::DB::Properties::kNumFilesAtLevelPrefix + std::to_string(level),
                &text);
            const auto files = std::strtoull(text.c_str(), nullptr, 10);
            stats.table_files += files;
            if (level == 0) stats.level0_files += files;
        }
    }
    stats.pending_compaction_bytes =
        sum_property(core, rocksdb::DB::Properties::kEstimatePendingCompactionBytes);
    stats.block_cache_bytes = core.block_cache->GetUsage();
    stats.hot_cache_bytes = core.hot.bytes();
    stats.hot_cache_hits = core.hot.hits();
    stats.hot_cache_misses = core.hot.misses();
    return stats;
}

Status MvccStore::compact_range() {
    core_->tombstones.store(0, std::memory_order_relaxed);
    for (auto* family : families(*core_)) SLUICE_TRY(compact_family(*core_, family));
    return {};
}

Status MvccStore::checkpoint(const std::string& dir) const {
    rocksdb::Checkpoint* raw = nullptr;
    auto status = rocksdb::Checkpoint::Create(core_->db.get(), &raw);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
    if (!status.ok()) return fail(engine_error(status, "checkpoint"));
    status = checkpoint->CreateCheckpoint(dir, 0);
    if (!status.ok()) return fail(engine_error(status, "checkpoint " + dir));
    return {};
}

}  // namespace sluice::storage
