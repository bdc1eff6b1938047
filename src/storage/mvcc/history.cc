// MvccStore::read_history: the events of past revisions, from the log.
//
// A log entry holds what its change replaced, not what it wrote. What event r wrote is what the
// key's next change replaced; so a slice is read forwards, and each entry completes the event
// before it of the same key. Only the last event of each key in the slice is looked up: it is the
// version that a reader at r sees.
#include <algorithm>
#include <unordered_map>

#include "base/check.h"
#include "base/key_hash.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/event_prevs.h"
#include "storage/mvcc/store.h"
#include "storage/mvcc/view.h"

namespace sluice::storage {
namespace {

class Pin {
  public:
    Pin(const StoreCore& core, Revision revision)
        : core_(core), revision_(revision), held_(core.pin(revision)) {}
    ~Pin() {
        if (held_) core_.unpin(revision_);
    }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    bool held() const noexcept { return held_; }

  private:
    const StoreCore& core_;
    const Revision revision_;
    const bool held_;
};

void fill_value(KeyValue& kv, const RecordView& record) {
    kv.value.assign(record.value);
    kv.create_revision = record.create_revision;
    kv.version = record.version;
    kv.lease = record.lease;
}

class HistoryReader {
  public:
    HistoryReader(const StoreCore& core, const HistoryQuery& query, ReadTier tier, Revision to)
        : core_(core), query_(query), view_(core, tier), to_(to) {
        for (const auto& range : query.ranges) ranges_.emplace_back(range.key, range.range_end);
        compacted_ = core.compacted.load(std::memory_order_acquire);
    }

    Result<HistoryResult> read(std::vector<EventBatch>& out);

  private:
    bool wanted(std::string_view key) const {
        return ranges_.empty() || std::any_of(ranges_.begin(), ranges_.end(),
                                              [&](const KeyRange& r) { return r.contains(key); });
    }
    bool full() const noexcept {
        return bytes_ >= query_.bytes_max || entries_ >= query_.entries_max;
    }
    Status add(Position position, const LogEntryView& entry);
    void drop_revision(Revision revision);
    Result<Lookup> complete();

    struct Place {
        std::size_t batch;
        std::size_t event;
    };

    const StoreCore& core_;
    const HistoryQuery& query_;
    const View view_;
    const Revision to_;
    Revision compacted_;
    std::vector<KeyRange> ranges_;
    std::vector<EventBatch> batches_;
    std::unordered_map<std::string, Place> last_;  // each key's last event so far
    std::size_t bytes_ = 0;
    std::int64_t entries_ = 0;
};

Status HistoryReader::add(Position position, const LogEntryView& entry) {
    RecordView previous;
    const bool had = !entry.previous.empty();
    if (had && !parse_record(entry.previous, previous)) return fail(damaged_error("old record"));
    if (batches_.empty() || batches_.back().revision != position.main) {
        batches_.push_back({position.main, {}});
    }
    auto& events = batches_.back().events;
    Event& event = events.emplace_back();
    event.type = entry.is_delete ? Event::Type::kDelete : Event::Type::kPut;
    event.sub = position.sub;
    event.kv.key.assign(entry.key);
    event.kv.mod_revision = position.main;
    bytes_ += entry.key.size() + 64;
    // The version before is read at the revision before, as etcd does it: gone if that is
    // compacted.
    event.prev_known = position.main - 1 >= compacted_;
    if (query_.with_prev && event.prev_known && had && !previous.tombstone) {
        event.prev = to_kv(entry.key, previous).copy();
        bytes_ += previous.value.size();
    }
    const Place place{batches_.size() - 1, events.size() - 1};
    const auto [it, first] = last_.try_emplace(event.kv.key, place);
    if (first) return {};
    Event& before = batches_[it->second.batch].events[it->second.event];
    it->second = place;
    if (!had || previous.position != Position{before.kv.mod_revision, before.sub}) {
        return fail(damaged_error("history: a change does not follow the one before"));
    }
    if (before.type == Event::Type::kPut) {
        fill_value(before.kv, previous);
        bytes_ += previous.value.size();
    }
    return {};
}

// Takes back a revision of which only a part could be read.
void HistoryReader::drop_revision(Revision revision) {
    if (batches_.empty() || batches_.back().revision != revision) return;
    batches_.pop_back();
    last_.clear();
    for (std::size_t b = 0; b < batches_.size(); ++b) {
        for (std::size_t e = 0; e < batches_[b].events.size(); ++e) {
            last_[batches_[b].events[e].kv.key] = {b, e};
        }
    }
}

// Looks up what the last event of each key wrote.
Result<Lookup> HistoryReader::complete() {
    RecordHold hold;
    for (const auto& [key, place] : last_) {
        Event& event = batches_[place.batch].events[place.event];
        if (event.type != Event::Type::kPut) continue;
        std::string_view bytes;
        SLUICE_TRY_ASSIGN(Lookup found, view_.newest(hash_key(key), key, hold, bytes));
        RecordView record;
        if (found == Lookup::kFound) {
            if (!parse_record(bytes, record)) return fail(damaged_error("record"));
            SLUICE_TRY_ASSIGN(found, view_.resolve(event.kv.mod_revision, hold, record));
        }
        if (found == Lookup::kWouldBlock) return found;
        if (found == Lookup::kAbsent ||
            record.position != Position{event.kv.mod_revision, event.sub}) {
            return fail(damaged_error("history: a version is missing"));
        }
        fill_value(event.kv, record);
    }
    return Lookup::kFound;
}

Result<HistoryResult> HistoryReader::read(std::vector<EventBatch>& out) {
    rocksdb::ReadOptions read = StoreCore::scan_options(view_.tier());
    char begin[kPositionKeyBytes];
    char end[kPositionKeyBytes];
    encode_position({query_.from, 0}, begin);
    encode_position({to_ + 1, 0}, end);
    const rocksdb::Slice upper(end, sizeof end);
    read.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(core_.db->NewIterator(read, core_.log));
    Revision revision = query_.from;  // being read; all below it is complete
    Revision next = to_ + 1;
    for (it->Seek({begin, sizeof begin}); it->Valid(); it->Next()) {
        Position position;
        LogEntryView entry;
        if (!parse_position(to_view(it->key()), position) ||
            !parse_log_entry(to_view(it->value()), entry)) {
            return fail(damaged_error("log entry"));
        }
        if (position.main != revision && full()) {
            next = position.main;
            break;
        }
        revision = position.main;
        ++entries_;
        if (wanted(entry.key)) SLUICE_TRY(add(position, entry));
    }
    if (it->status().IsIncomplete()) {
        if (revision == query_.from) return HistoryResult{ReadStep::kWouldBlock, query_.from};
        drop_revision(revision);
        next = revision;
    } else if (!it->status().ok()) {
        return fail(engine_error(it->status(), "read the log"));
    }
    SLUICE_TRY_ASSIGN(const Lookup completed, complete());
    if (completed == Lookup::kWouldBlock) return HistoryResult{ReadStep::kWouldBlock, query_.from};
    for (EventBatch& batch : batches_) take_prevs_before_txn(batch);
    std::move(batches_.begin(), batches_.end(), std::back_inserter(out));
    return HistoryResult{next > to_ ? ReadStep::kDone : ReadStep::kMore, next};
}

}  // namespace

Result<HistoryResult> MvccStore::read_history(const HistoryQuery& query, ReadTier tier,
                                              std::vector<EventBatch>& out) const {
    const Revision current = current_revision();
    const Revision to = query.to == 0 ? current : std::min(query.to, current);
    if (query.from < compacted_revision() || query.from < 0) return fail(compacted_error());
    if (query.from > to) return HistoryResult{ReadStep::kDone, std::max(query.from, to + 1)};
    const Pin pin(*core_, query.from);
    if (!pin.held()) return fail(compacted_error());
    return HistoryReader(*core_, query, tier, to).read(out);
}

}  // namespace sluice::storage
