#include "storage/mvcc/view.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::storage {

Error damaged_error(std::string_view what) {
    return {Code::kDataLoss, "store: damaged " + std::string(what)};
}

Result<Lookup> View::newest(std::size_t hash, std::string_view key, RecordHold& hold,
                            std::string_view& record) const {
    if (const auto* entry = pending(hash, key)) {
        record = entry->record;
        return Lookup::kFound;
    }
    SLUICE_TRY_ASSIGN(const Lookup found, core_.engine_get(core_.latest, key, tier_, hold.pinned));
    if (found == Lookup::kFound) record = to_view(hold.pinned);
    return found;
}

// The record that the change at `position` replaced.
Result<Lookup> View::replaced_at(Position position, RecordHold& hold, RecordView& record) const {
    LogEntryView entry;
    const Pending::LogRef* ref = nullptr;
    if (overlay_ != nullptr) ref = overlay_->pending.find_log(position);
    if (ref != nullptr) {
        if (!parse_log_entry(std::string_view(overlay_->batch).substr(ref->offset, ref->size),
                             entry)) {
            return fail(damaged_error("pending log entry"));
        }
    } else {
        char key[kPositionKeyBytes];
        encode_position(position, key);
        SLUICE_TRY_ASSIGN(const Lookup found,
                          core_.engine_get(core_.log, {key, sizeof key}, tier_, hold.pinned));
        if (found == Lookup::kWouldBlock) return found;
        if (found == Lookup::kAbsent) {
            if (position.main < core_.collect_floor.load(std::memory_order_acquire)) {
                return fail(compacted_error());
            }
            return fail(damaged_error("history: a log entry is missing"));
        }
        if (!parse_log_entry(to_view(hold.pinned), entry)) return fail(damaged_error("log entry"));
    }
    if (entry.previous.empty()) return Lookup::kAbsent;
    const Position newer = position;
    if (!parse_record(entry.previous, record)) return fail(damaged_error("old record"));
    if (record.position >= newer) return fail(damaged_error("history: it runs backwards"));
    return Lookup::kFound;
}

Result<Lookup> View::resolve(Revision at, RecordHold& hold, RecordView& record) const {
    while (record.position.main > at) {
        // The target is at or below record.position and above `at`, so each step gets closer.
        const Position target = walk_target(record, at);
        SLUICE_ASSERT(target.main > at && target <= record.position);
        SLUICE_TRY_ASSIGN(const Lookup found, replaced_at(target, hold, record));
        if (found != Lookup::kFound) return found;
    }
    return record.tombstone ? Lookup::kAbsent : Lookup::kFound;
}

LatestScan::LatestScan(const View& view, std::string_view begin, const std::string_view* end)
    : view_(view), begin_(begin), end_(end) {}

bool LatestScan::overlay_valid() const noexcept {
    if (view_.overlay() == nullptr) return false;
    const Pending& pending = view_.overlay()->pending;
    const auto& sorted = pending.sorted();
    if (overlay_at_ >= sorted.size()) return false;
    return end_ == nullptr || pending.entries()[sorted[overlay_at_]].key < *end_;
}

Result<Lookup> LatestScan::seek() {
    rocksdb::ReadOptions read = StoreCore::scan_options(view_.tier());
    if (end_ != nullptr) {
        upper_ = to_slice(*end_);
        read.iterate_upper_bound = &upper_;
    }
    const StoreCore& core = view_.core();
    engine_.reset(core.db->NewIterator(read, core.latest));
    engine_->Seek(to_slice(begin_));
    if (view_.overlay() != nullptr) {
        const Pending& pending = view_.overlay()->pending;
        const auto& sorted = pending.sorted();
        overlay_at_ = static_cast<std::size_t>(
            std::lower_bound(sorted.begin(), sorted.end(), begin_,
                             [&](std::uint32_t i, std::string_view wanted) {
                                 return pending.entries()[i].key < wanted;
                             }) -
            sorted.begin());
    }
    return settle();
}

Result<Lookup> LatestScan::next() {
    SLUICE_ASSERT(from_engine_ || from_overlay_);
    if (from_engine_) engine_->Next();
    if (from_overlay_) ++overlay_at_;
    return settle();
}

// Picks the smaller key; of equal keys the overlay's record, and then both move on together.
Result<Lookup> LatestScan::settle() {
    from_engine_ = engine_->Valid();
    if (!from_engine_) {
        const auto status = engine_->status();
        if (status.IsIncomplete()) return Lookup::kWouldBlock;
        if (!status.ok()) return fail(engine_error(status, "scan"));
    }
    from_overlay_ = overlay_valid();
    if (!from_engine_ && !from_overlay_) return Lookup::kAbsent;
    if (from_engine_) {
        key_ = to_view(engine_->key());
        record_ = to_view(engine_->value());
    }
    if (from_overlay_) {
        const Pending& pending = view_.overlay()->pending;
        const auto& entry = pending.entries()[pending.sorted()[overlay_at_]];
        const int order = from_engine_ ? entry.key.compare(key_) : -1;
        if (order > 0) {
            from_overlay_ = false;
        } else {
            if (order < 0) from_engine_ = false;
            key_ = entry.key;
            record_ = entry.record;
        }
    }
    if (record_.empty()) return fail(damaged_error("record"));
    return Lookup::kFound;
}

}  // namespace sluice::storage
