#include "storage/mvcc/applier.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/key_hash.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/event_prevs.h"
#include "storage/mvcc/range_scan.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

constexpr std::size_t kBatchBytesKept = 4u << 20;
constexpr SliceBudget kWholeRange{std::numeric_limits<std::int64_t>::max(),
                                  std::numeric_limits<std::size_t>::max()};

KeyValue copy_pair(std::string_view key, const RecordView& record) {
    return to_kv(key, record).copy();
}

}  // namespace

struct Applier::Impl {
    Impl(MvccStore& s, BlockingCall call) : store(s), core(s.core()), blocking(call) {
        SLUICE_CHECK(!core.applier_open.exchange(true));
        revision = core.visible.load();
        compacted = core.compacted.load();
        keys = core.keys.load();
    }
    ~Impl() { core.applier_open.store(false); }

    Overlay overlay() const { return {pending, batch.Data()}; }
    Revision read_revision() const { return changes > 0 ? revision + 1 : revision; }

    // Reads by read(tier), a Result of Lookup or ReadStep: in memory, and where that would block
    // once more on the disk, away from the caller's thread. The second call goes on or starts anew.
    template <class Read>
    auto tiered(Read&& read) const -> decltype(read(ReadTier::kAny));
    // Calls use(bytes of the key's newest record, empty if there is none).
    template <class Use>
    Status with_newest(std::size_t hash, std::string_view key, Use&& use);
    Status scan_whole(const RangeQuery& query, Revision at, RangeProgress& progress, KvSink& sink);
    Position next_position();
    void log_change(Position position, bool is_delete, std::string_view key,
                    std::string_view previous);
    void set_record(std::size_t hash, std::string_view key, const NewRecord& record,
                    const RecordView* previous);
    void move_lease(std::string_view key, LeaseId from, LeaseId to);
    Event& add_event(Event::Type type, Position position, std::string_view key);
    void delete_live(std::size_t hash, std::string_view key, std::string_view bytes,
                     const RecordView& record, std::vector<KeyValue>* prevs);
    Result<std::int64_t> delete_one(std::string_view key, std::vector<KeyValue>* prevs);
    Result<std::int64_t> delete_many(const KeyRange& range, std::vector<KeyValue>* prevs);
    void publish(std::uint64_t index, std::uint64_t term);
    void reset();

    MvccStore& store;
    StoreCore& core;
    const BlockingCall blocking;
    rocksdb::WriteBatch batch;
    Pending pending;
    std::map<std::string, std::optional<std::string>, std::less<>> meta;  // of this group
    Revision revision = 1;  // of the last transaction that took one
    Revision compacted = -1;
    std::int64_t keys = 0;
    bool in_txn = false;
    bool with_events = false;
    std::uint32_t changes = 0;  // of the open transaction
    EventBatch events;
    RecordHold hold;
    std::string scratch;
};

template <class Read>
auto Applier::Impl::tiered(Read&& read) const -> decltype(read(ReadTier::kAny)) {
    auto step = read(ReadTier::kMemory);
    using Step = std::remove_cvref_t<decltype(*step)>;
    if (step && *step == Step::kWouldBlock) {
        blocking([&] { step = read(ReadTier::kAny); });
        SLUICE_CHECK(!step || *step != Step::kWouldBlock);
    }
    return step;
}

template <class Use>
Status Applier::Impl::with_newest(std::size_t hash, std::string_view key, Use&& use) {
    if (const auto* entry = pending.find(hash, key)) {
        use(entry->record);
        return {};
    }
    if (core.hot.with(hash, key, use)) return {};
    SLUICE_TRY_ASSIGN(const Lookup found, tiered([&](ReadTier tier) {
                          return core.engine_get(core.latest, key, tier, hold.pinned);
                      }));
    use(found == Lookup::kFound ? to_view(hold.pinned) : std::string_view{});
    return {};
}

Status Applier::Impl::scan_whole(const RangeQuery& query, Revision at, RangeProgress& progress,
                                 KvSink& sink) {
    SLUICE_TRY_ASSIGN(const ReadStep step, tiered([&](ReadTier tier) {
                          const Overlay changes_so_far = overlay();
                          return scan_slice({core, tier, &changes_so_far}, query, at, kWholeRange,
                                            progress, sink);
                      }));
    SLUICE_CHECK(step == ReadStep::kDone);
    return {};
}

Position Applier::Impl::next_position() {
    SLUICE_CHECK(in_txn);
    return {revision + 1, changes++};
}

// The bytes of `previous` go straight into the batch, which is their only copy on the way there.
void Applier::Impl::log_change(Position position, bool is_delete, std::string_view key,
                               std::string_view previous) {
    char log_key[kPositionKeyBytes];
    encode_position(position, log_key);
    char head[12];
    const auto head_bytes = encode_log_head(is_delete, !previous.empty(), key.size(), head);
    const rocksdb::Slice key_part(log_key, sizeof log_key);
    const rocksdb::Slice parts[] = {{head, head_bytes}, to_slice(key), to_slice(previous)};
    batch.Put(core.log, rocksdb::SliceParts(&key_part, 1), rocksdb::SliceParts(parts, 3));
    const std::size_t size = head_bytes + key.size() + previous.size();
    SLUICE_ASSERT(batch.GetDataSize() > size);
    pending.add_log({position, batch.GetDataSize() - size, size});
}

void Applier::Impl::set_record(std::size_t hash, std::string_view key, const NewRecord& record,
                               const RecordView* previous) {
    const std::size_t room = kRecordHeadBytesMax + record.value.size();
    char* out = pending.arena().allocate(room);
    const std::size_t size = encode_record(record, previous, out);
    SLUICE_ASSERT(size <= room);
    pending.arena().give_back(room - size);
    pending.set(hash, key, {out, size});
}

void Applier::Impl::move_lease(std::string_view key, LeaseId from, LeaseId to) {
    if (from == to) return;
    char prefix[kLeaseKeyPrefixBytes];
    if (from != 0) {
        encode_lease_prefix(from, prefix);
        scratch.assign(prefix, sizeof prefix).append(key);
        batch.Delete(core.meta, scratch);
    }
    if (to != 0) {
        encode_lease_prefix(to, prefix);
        scratch.assign(prefix, sizeof prefix).append(key);
        batch.Put(core.meta, scratch, to_slice(kLeaseValue));
    }
}

Event& Applier::Impl::add_event(Event::Type type, Position position, std::string_view key) {
    Event& event = events.events.emplace_back();
    event.type = type;
    event.sub = position.sub;
    event.kv.key.assign(key);
    event.kv.mod_revision = position.main;
    return event;
}

void Applier::Impl::publish(std::uint64_t index, std::uint64_t term) {
    for (const Pending::Entry& entry : pending.entries()) {
        core.hot.update(entry.hash, entry.key, entry.record);
    }
    core.keys.store(keys, std::memory_order_relaxed);
    core.compacted.store(compacted, std::memory_order_release);
    core.visible.store(revision, std::memory_order_release);
    core.applied_term.store(term, std::memory_order_release);
    core.applied_index.store(index, std::memory_order_release);
}

void Applier::Impl::reset() {
    if (batch.GetDataSize() > kBatchBytesKept) {
        batch = rocksdb::WriteBatch();
    } else {
        batch.Clear();
    }
    pending.clear();
    meta.clear();
}

Applier::Applier(MvccStore& store, BlockingCall blocking)
    : impl_(std::make_unique<Impl>(store, blocking)) {}
Applier::~Applier() = default;

bool Applier::in_txn() const noexcept {
    return impl_->in_txn;
}
Revision Applier::read_revision() const noexcept {
    return impl_->read_revision();
}
Revision Applier::compacted_revision() const noexcept {
    return impl_->compacted;
}
std::size_t Applier::pending_bytes() const noexcept {
    return impl_->batch.GetDataSize();
}

void Applier::begin_txn(bool with_events) {
    Impl& w = *impl_;
    SLUICE_CHECK(!w.in_txn);
    SLUICE_ASSERT(w.changes == 0 && w.events.events.empty());
    w.in_txn = true;
    w.with_events = with_events;
}

bool Applier::end_txn(EventBatch* events) {
    Impl& w = *impl_;
    SLUICE_CHECK(w.in_txn);
    w.in_txn = false;
    const bool changed = w.changes > 0;
    if (changed) ++w.revision;
    w.changes = 0;
    if (changed && events != nullptr) {
        w.events.revision = w.revision;
        take_prevs_before_txn(w.events);
        std::swap(*events, w.events);
    }
    w.events.events.clear();
    return changed;
}

Status Applier::put(std::string_view key, std::string_view value, LeaseId lease, KeyValue* prev) {
    Impl& w = *impl_;
    SLUICE_CHECK(!key.empty());
    const std::size_t hash = hash_key(key);
    const Position position = w.next_position();
    Event* event = nullptr;
    if (w.with_events) {
        event = &w.add_event(Event::Type::kPut, position, key);
        event->kv.value.assign(value);
        event->kv.lease = lease;
    }
    if (prev != nullptr) *prev = {};
    RecordView old;
    bool known = false;
    bool well_formed = true;
    SLUICE_TRY(w.with_newest(hash, key, [&](std::string_view bytes) {
        known = !bytes.empty();
        if (known) well_formed = parse_record(bytes, old);
        if (!well_formed) return;
        w.log_change(position, false, key, bytes);
        if (!known || old.tombstone) return;
        if (event != nullptr) event->prev = copy_pair(key, old);
        if (prev != nullptr) *prev = copy_pair(key, old);
    }));
    if (!well_formed) return fail(damaged_error("record"));
    old.value = {};
    const bool live = known && !old.tombstone;
    const NewRecord record{position,        false, live ? old.create_revision : position.main,
                           old.version + 1, lease, value};
    w.set_record(hash, key, record, known ? &old : nullptr);
    w.move_lease(key, old.lease, lease);
    if (!live) ++w.keys;
    if (event != nullptr) {
        event->kv.create_revision = record.create_revision;
        event->kv.version = record.version;
    }
    return {};
}

void Applier::Impl::delete_live(std::size_t hash, std::string_view key, std::string_view bytes,
                                const RecordView& record, std::vector<KeyValue>* prevs) {
    const Position position = next_position();
    log_change(position, true, key, bytes);
    if (prevs != nullptr) prevs->push_back(copy_pair(key, record));
    if (with_events) {
        add_event(Event::Type::kDelete, position, key).prev = copy_pair(key, record);
    }
    set_record(hash, key, {position, true, 0, 0, 0, {}}, &record);
    move_lease(key, record.lease, 0);
    --keys;
    SLUICE_CHECK(keys >= 0);
}

Result<std::int64_t> Applier::Impl::delete_one(std::string_view key, std::vector<KeyValue>* prevs) {
    const std::size_t hash = hash_key(key);
    // Copied out first: what is deleted is read again while the batch grows.
    std::string_view bytes;
    SLUICE_TRY(
        with_newest(hash, key, [&](std::string_view b) { bytes = pending.arena().copy(b); }));
    RecordView record;
    if (bytes.empty()) return 0;
    if (!parse_record(bytes, record)) return fail(damaged_error("record"));
    if (record.tombstone) return 0;
    delete_live(hash, key, bytes, record, prevs);
    return 1;
}

Result<std::int64_t> Applier::Impl::delete_many(const KeyRange& range,
                                                std::vector<KeyValue>* prevs) {
    if (range.empty()) return 0;
    struct Victim {
        std::string_view key;
        std::string_view bytes;
    };
    std::vector<Victim> victims;
    SLUICE_TRY(tiered([&](ReadTier tier) -> Result<Lookup> {
        const Overlay changes_so_far = overlay();
        const View view(core, tier, &changes_so_far);
        // What the first try found is kept; its last key is met again, and is the newest there.
        LatestScan scan(view, victims.empty() ? range.begin : victims.back().key, range.bound());
        auto step = scan.seek();
        for (; step && *step == Lookup::kFound; step = scan.next()) {
            RecordView record;
            if (!parse_record(scan.record(), record)) return fail(damaged_error("record"));
            if (record.tombstone) continue;
            if (!victims.empty() && victims.back().key == scan.key()) continue;
            victims.push_back(
                {pending.arena().copy(scan.key()), pending.arena().copy(scan.record())});
        }
        return step;
    }));
    for (const Victim& victim : victims) {
        RecordView record;
        SLUICE_CHECK(parse_record(victim.bytes, record));
        delete_live(hash_key(victim.key), victim.key, victim.bytes, record, prevs);
    }
    return static_cast<std::int64_t>(victims.size());
}

Result<std::int64_t> Applier::delete_range(std::string_view key, std::string_view range_end,
                                           std::vector<KeyValue>* prevs) {
    SLUICE_CHECK(impl_->in_txn && !key.empty());
    const KeyRange range(key, range_end);
    return range.single ? impl_->delete_one(key, prevs) : impl_->delete_many(range, prevs);
}

Result<bool> Applier::get(std::string_view key, KvSink& sink) {
    SLUICE_TRY_ASSIGN(const Lookup found, impl_->tiered([&](ReadTier tier) {
        const Overlay overlay = impl_->overlay();
        return point_read({impl_->core, tier, &overlay}, key, read_revision(), sink);
    }));
    return found == Lookup::kFound;
}

Status Applier::range(const RangeQuery& query, RangeResult& out) {
    out = {};
    if (query.revision > read_revision()) return fail(future_error());
    if (query.revision > 0 && query.revision < impl_->compacted) return fail(compacted_error());
    const Revision at = query.revision > 0 ? query.revision : read_revision();
    RangeProgress progress;
    CollectSink sink(out.kvs);
    SLUICE_TRY(impl_->scan_whole(query, at, progress, sink));
    out.count = progress.count;
    out.more = !query.needs_sort() && query.limit > 0 && progress.matched > query.limit;
    out.revision = read_revision();
    finish_range(query, out);
    return {};
}

Status Applier::scan(std::string_view key, std::string_view range_end, KvSink& sink) {
    RangeProgress progress;
    const RangeQuery query{.key = key, .range_end = range_end};
    return impl_->scan_whole(query, read_revision(), progress, sink);
}

Result<std::vector<std::string>> Applier::keys_of_lease(LeaseId lease) {
    Result<std::vector<std::string>> read;
    impl_->blocking([&] { read = impl_->store.keys_of_lease(lease); });
    SLUICE_TRY_ASSIGN(auto committed, std::move(read));
    if (impl_->pending.empty()) return committed;
    std::set<std::string, std::less<>> keys(std::make_move_iterator(committed.begin()),
                                            std::make_move_iterator(committed.end()));
    for (const Pending::Entry& entry : impl_->pending.entries()) {
        RecordView record;
        SLUICE_CHECK(parse_record(entry.record, record));
        if (!record.tombstone && record.lease == lease) {
            keys.emplace(entry.key);
        } else if (const auto it = keys.find(entry.key); it != keys.end()) {
            keys.erase(it);
        }
    }
    return std::vector<std::string>(keys.begin(), keys.end());
}

Result<std::string> Applier::get_meta(std::string_view key) {
    const auto it = impl_->meta.find(key);
    if (it == impl_->meta.end()) return impl_->store.get_meta(key);
    if (!it->second) return fail(Code::kNotFound, "store: no such meta record");
    return *it->second;
}

void Applier::set_meta(std::string_view key, std::string_view value) {
    std::string stored(1, kMetaTag);
    stored.append(value);
    impl_->batch.Put(impl_->core.meta, std::string(1, kMetaPrefix).append(key), stored);
    impl_->meta.insert_or_assign(std::string(key), std::string(value));
}

void Applier::delete_meta(std::string_view key) {
    impl_->batch.Delete(impl_->core.meta, std::string(1, kMetaPrefix).append(key));
    impl_->meta.insert_or_assign(std::string(key), std::nullopt);
}

Status Applier::compact(Revision revision) {
    if (revision <= impl_->compacted) return fail(compacted_error());
    if (revision > read_revision()) return fail(future_error());
    impl_->compacted = revision;
    return {};
}

Status Applier::commit(std::uint64_t index, std::uint64_t term) {
    Impl& w = *impl_;
    SLUICE_CHECK(!w.in_txn);
    SLUICE_CHECK(index >= w.core.applied_index.load(std::memory_order_relaxed));
    std::int64_t tombstones = 0;
    for (const std::uint32_t i : w.pending.sorted()) {
        const Pending::Entry& entry = w.pending.entries()[i];
        w.batch.Put(w.core.latest, to_slice(entry.key), to_slice(entry.record));
        Position position;
        bool tombstone = false;
        SLUICE_CHECK(parse_record_position(entry.record, position, tombstone));
        SLUICE_ASSERT(position.main <= w.revision);
        tombstones += tombstone ? 1 : 0;
    }
    char state[kStateBytes];
    encode_state({index, term, w.revision, w.compacted, w.keys}, state);
    w.batch.Put(w.core.meta, to_slice(kStateKey), {state, sizeof state});
    rocksdb::WriteOptions write;
    write.disableWAL = true;
    const std::size_t bytes = w.batch.GetDataSize();
    write.no_slowdown = true;  // where it would wait for a flush, it waits elsewhere
    auto status = w.core.db->Write(write, &w.batch);
    if (status.IsIncomplete()) {
        write.no_slowdown = false;
        w.blocking([&] { status = w.core.db->Write(write, &w.batch); });
    }
    if (!status.ok()) return fail(engine_error(status, "write"));
    w.core.tombstones.fetch_add(tombstones, std::memory_order_relaxed);
    w.publish(index, term);
    w.reset();
    w.core.note_written(bytes);
    return {};
}

}  // namespace sluice::storage
