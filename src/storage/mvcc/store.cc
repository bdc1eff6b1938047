#include "storage/mvcc/store.h"

#include <filesystem>

#include "base/check.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/range_scan.h"

namespace sluice::storage {
namespace {

constexpr int kCurrentReadTries = 3;

void remove_leftovers(const std::string& dir) {
    // Checkpoints of snapshot streams that a crash cut off.
    std::error_code ignored;
    std::filesystem::remove_all(std::filesystem::path(dir) / "snapshots", ignored);
}

}  // namespace

MvccStore::MvccStore(std::unique_ptr<StoreCore> core) : core_(std::move(core)) {}
MvccStore::~MvccStore() = default;

Result<std::unique_ptr<MvccStore>> MvccStore::open(StoreOptions options) {
    const MemoryPlan plan = plan_memory(options.memory_limit_bytes);
    auto core = std::make_unique<StoreCore>(std::move(options), plan);
    SLUICE_TRY(core->open());
    remove_leftovers(core->options.dir);
    return std::unique_ptr<MvccStore>(new MvccStore(std::move(core)));
}

Revision MvccStore::current_revision() const noexcept {
    return core_->visible.load(std::memory_order_acquire);
}
Revision MvccStore::compacted_revision() const noexcept {
    return core_->compacted.load(std::memory_order_acquire);
}
Revision MvccStore::collected_revision() const noexcept {
    return core_->collect_floor.load(std::memory_order_acquire);
}
std::uint64_t MvccStore::applied_index() const noexcept {
    return core_->applied_index.load(std::memory_order_acquire);
}
std::uint64_t MvccStore::applied_term() const noexcept {
    return core_->applied_term.load(std::memory_order_acquire);
}
std::uint64_t MvccStore::durable_applied_index() const noexcept {
    return core_->durable_index.load(std::memory_order_acquire);
}
double MvccStore::pressure() const noexcept {
    return core_->pressure.load(std::memory_order_relaxed);
}

Result<ReadStep> MvccStore::get(std::string_view key, Revision revision, ReadTier tier,
                                KvSink& sink, bool* found, Revision* store_revision) const {
    const View view(*core_, tier);
    for (int tries = 1;; ++tries) {
        const Revision current = current_revision();
        if (store_revision != nullptr) *store_revision = current;
        if (revision > current) return fail(future_error());
        if (revision > 0 && revision < compacted_revision()) return fail(compacted_error());
        const Revision at = revision > 0 ? revision : current;
        const auto seen = point_read(view, key, at, sink);
        // What is found is right: it is the newest one at `at`. That nothing is found may be
        // because it was collected meanwhile.
        const bool collected = collected_revision() > at;
        if (collected && (!seen || *seen == Lookup::kAbsent)) {
            if (revision > 0) return fail(compacted_error());
            if (tries < kCurrentReadTries) continue;
            return fail(Code::kUnavailable, "store: compactions overtook a read, try again");
        }
        if (!seen) return fail(seen.error());
        if (found != nullptr) *found = *seen == Lookup::kFound;
        return *seen == Lookup::kWouldBlock ? ReadStep::kWouldBlock : ReadStep::kDone;
    }
}

Result<ReadStep> MvccStore::range(const RangeQuery& query, ReadTier tier, RangeResult& out) const {
    out = {};
    RangeCursor cursor(*this, query);
    CollectSink sink(out.kvs);
    for (;;) {
        SLUICE_TRY_ASSIGN(const ReadStep step, cursor.next(tier, {}, sink));
        if (step == ReadStep::kWouldBlock) {
            out = {};
            return step;
        }
        if (step == ReadStep::kDone) break;
    }
    out.count = cursor.count();
    out.more = cursor.more();
    out.revision = cursor.store_revision();
    finish_range(query, out);
    return ReadStep::kDone;
}

Result<std::vector<std::string>> MvccStore::keys_of_lease(LeaseId lease) const {
    char begin[kLeaseKeyPrefixBytes];
    encode_lease_prefix(lease, begin);
    const rocksdb::Slice prefix(begin, sizeof begin);
    const std::unique_ptr<rocksdb::Iterator> it(
        core_->db->NewIterator(StoreCore::scan_options(ReadTier::kAny), core_->meta));
    std::vector<std::string> keys;
    for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
        keys.emplace_back(to_view(it->key()).substr(kLeaseKeyPrefixBytes));
    }
    if (!it->status().ok()) return fail(engine_error(it->status(), "read the keys of a lease"));
    return keys;
}

Result<std::string> MvccStore::get_meta(std::string_view key) const {
    rocksdb::PinnableSlice value;
    SLUICE_TRY_ASSIGN(const Lookup found,
                      core_->engine_get(core_->meta, std::string(1, kMetaPrefix).append(key),
                                        ReadTier::kAny, value));
    if (found == Lookup::kAbsent) return fail(Code::kNotFound, "store: no such meta record");
    const std::string_view bytes = to_view(value);
    if (bytes[0] != kMetaTag) return fail(damaged_error("meta record"));
    return std::string(bytes.substr(1));
}

Status MvccStore::scan_meta(
    std::string_view prefix,
    const std::function<void(std::string_view key, std::string_view value)>& each) const {
    const std::unique_ptr<rocksdb::Iterator> it(
        core_->db->NewIterator(StoreCore::scan_options(ReadTier::kAny), core_->meta));
    const std::string begin = std::string(1, kMetaPrefix).append(prefix);
    for (it->Seek(begin); it->Valid() && it->key().starts_with(begin); it->Next()) {
        const auto value = to_view(it->value());
        if (value.empty() || value[0] != kMetaTag) return fail(damaged_error("meta record"));
        each(to_view(it->key()).substr(1), value.substr(1));
    }
    if (!it->status().ok()) return fail(engine_error(it->status(), "read meta records"));
    return {};
}

}  // namespace sluice::storage
