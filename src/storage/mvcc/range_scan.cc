#include "storage/mvcc/range_scan.h"

#include <limits>
#include <optional>

#include "base/check.h"
#include "base/key_hash.h"

namespace sluice::storage {
namespace {

// Counts the live pairs it gets, and hands on those that the query wants.
class AcceptSink final : public KvSink {
  public:
    AcceptSink(const RangeQuery& query, RangeProgress& progress, KvSink& next)
        : query_(query), progress_(progress), next_(next), limit_(query.scan_limit()) {}

    void on_kv(const KvView& kv) override {
        ++progress_.count;
        if (query_.count_only || !query_.matches(kv)) return;
        if (++progress_.matched > limit_) return;
        bytes_ += kv.key.size() + kv.value.size();
        if (!query_.keeps_lease()) {
            KvView bare = kv;
            bare.value = {};
            bare.lease = 0;
            next_.on_kv(bare);
        } else {
            next_.on_kv(kv);
        }
    }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    const RangeQuery& query_;
    RangeProgress& progress_;
    KvSink& next_;
    const std::int64_t limit_;
    std::size_t bytes_ = 0;
};

}  // namespace

Result<Lookup> point_read(const View& view, std::string_view key, Revision at, KvSink& sink) {
    const StoreCore& core = view.core();
    const std::size_t hash = hash_key(key);
    RecordView record;
    RecordHold hold;
    std::optional<Lookup> known;
    bool well_formed = true;
    std::uint64_t epoch = 0;
    const auto use = [&](std::string_view bytes) {
        well_formed = parse_record(bytes, record);
        if (!well_formed) return;
        if (record.position.main > at) {  // of a newer revision: walk back, outside the lock
            record.value = {};
        } else if (record.tombstone) {
            known = Lookup::kAbsent;
        } else {
            sink.on_kv(to_kv(key, record));
            known = Lookup::kFound;
        }
    };
    if (view.pending(hash, key) != nullptr || !core.hot.with(hash, key, use, &epoch)) {
        std::string_view bytes;
        SLUICE_TRY_ASSIGN(const Lookup found, view.newest(hash, key, hold, bytes));
        if (found != Lookup::kFound) return found;
        use(bytes);
        if (well_formed && epoch != 0) core.hot.add(hash, key, bytes, epoch);
    }
    if (!well_formed) return fail(damaged_error("record"));
    if (known) return *known;
    SLUICE_TRY_ASSIGN(const Lookup found, view.resolve(at, hold, record));
    if (found == Lookup::kFound) sink.on_kv(to_kv(key, record));
    return found;
}

Result<ReadStep> scan_slice(const View& view, const RangeQuery& query, Revision at,
                            const SliceBudget& budget, RangeProgress& progress, KvSink& sink) {
    SLUICE_ASSERT(!progress.done && budget.keys_max > 0);
    const KeyRange range(query.key, query.range_end);
    AcceptSink accept(query, progress, sink);
    if (range.single) {
        SLUICE_TRY_ASSIGN(const Lookup found, point_read(view, query.key, at, accept));
        if (found == Lookup::kWouldBlock) return ReadStep::kWouldBlock;
        progress.done = true;
        return ReadStep::kDone;
    }
    if (!progress.started) progress.resume.assign(query.key);
    progress.started = true;
    const std::string begin = progress.resume;
    LatestScan scan(view, begin, range.bound());
    RecordHold hold;
    std::int64_t keys = 0;
    auto step = range.empty() ? Result<Lookup>(Lookup::kAbsent) : scan.seek();
    for (; step && *step == Lookup::kFound; step = scan.next()) {
        if (keys >= budget.keys_max || accept.bytes() >= budget.bytes_max) {
            progress.resume.assign(scan.key());
            return ReadStep::kMore;
        }
        RecordView record;
        if (!parse_record(scan.record(), record)) return fail(damaged_error("record"));
        SLUICE_TRY_ASSIGN(const Lookup seen, view.resolve(at, hold, record));
        if (seen == Lookup::kWouldBlock) {
            progress.resume.assign(scan.key());
            return ReadStep::kWouldBlock;
        }
        ++keys;
        if (seen == Lookup::kFound) accept.on_kv(to_kv(scan.key(), record));
        // Where to go on if the engine cannot move further without the disk. It costs one copy of a
        // key; the iterator's own is gone once it has failed.
        progress.resume.assign(scan.key()).push_back('\0');
    }
    if (!step) return fail(step.error());
    if (*step == Lookup::kWouldBlock) return ReadStep::kWouldBlock;
    progress.done = true;
    return ReadStep::kDone;
}

}  // namespace sluice::storage
