#include "storage/mvcc/range.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "storage/mvcc/range_scan.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

template <class Field>
void sort_by(std::vector<KeyValue>& kvs, bool descend, Field field) {
    // Equal ones stay in key order, in both directions.
    std::sort(kvs.begin(), kvs.end(), [&](const KeyValue& a, const KeyValue& b) {
        const auto& x = field(a);
        const auto& y = field(b);
        if (x != y) return descend ? y < x : x < y;
        return a.key < b.key;
    });
}

}  // namespace

bool RangeQuery::needs_sort() const noexcept {
    return target != SortTarget::kKey || order == SortOrder::kDescend;
}

bool RangeQuery::keeps_lease() const noexcept {
    return !keys_only || target == SortTarget::kValue;
}

bool RangeQuery::has_filters() const noexcept {
    return min_mod_revision != 0 || max_mod_revision != 0 || min_create_revision != 0 ||
           max_create_revision != 0;
}

bool RangeQuery::matches(const KvView& kv) const noexcept {
    if (max_mod_revision != 0 && kv.mod_revision > max_mod_revision) return false;
    if (min_mod_revision != 0 && kv.mod_revision < min_mod_revision) return false;
    if (max_create_revision != 0 && kv.create_revision > max_create_revision) return false;
    return min_create_revision == 0 || kv.create_revision >= min_create_revision;
}

std::int64_t RangeQuery::scan_limit() const noexcept {
    constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
    if (limit <= 0) return kAll;
    if (!needs_sort()) return limit;
    // Order NONE with another target than the key: etcd cuts in key order first (keeping one more,
    // by which it knows that there is more), then sorts what is left.
    if (order == SortOrder::kNone && !has_filters()) return limit == kAll ? kAll : limit + 1;
    return kAll;
}

void finish_range(const RangeQuery& query, RangeResult& result) {
    auto& kvs = result.kvs;
    const bool descend = query.order == SortOrder::kDescend;
    if (query.needs_sort()) {
        switch (query.target) {
            case SortTarget::kKey:
                std::reverse(kvs.begin(), kvs.end());
                break;
            case SortTarget::kVersion:
                sort_by(kvs, descend, [](const KeyValue& kv) { return kv.version; });
                break;
            case SortTarget::kCreate:
                sort_by(kvs, descend, [](const KeyValue& kv) { return kv.create_revision; });
                break;
            case SortTarget::kMod:
                sort_by(kvs, descend, [](const KeyValue& kv) { return kv.mod_revision; });
                break;
            case SortTarget::kValue:
                sort_by(kvs, descend, [](const KeyValue& kv) -> const auto& { return kv.value; });
                break;
        }
    }
    if (query.limit > 0 && kvs.size() > static_cast<std::size_t>(query.limit)) {
        kvs.resize(static_cast<std::size_t>(query.limit));
        result.more = true;
    }
    if (query.keys_only) {
        for (KeyValue& kv : kvs) kv.value.clear();
    }
}

RangeCursor::RangeCursor(const MvccStore& store, const RangeQuery& query)
    : store_(store), query_(query) {
    text_.reserve(query.key.size() + query.range_end.size());
    text_.append(query.key).append(query.range_end);
    query_.key = std::string_view(text_).substr(0, query.key.size());
    query_.range_end = std::string_view(text_).substr(query.key.size());
}

RangeCursor::~RangeCursor() {
    if (pinned_) store_.core().unpin(read_revision_);
}

bool RangeCursor::more() const noexcept {
    return !query_.needs_sort() && query_.limit > 0 && progress_.matched > query_.limit;
}

Status RangeCursor::start() {
    const StoreCore& core = store_.core();
    if (query_.revision <= 0) {
        read_revision_ = store_revision_ = core.pin_current();
        pinned_ = true;
        return {};
    }
    store_revision_ = core.visible.load(std::memory_order_acquire);
    if (query_.revision > store_revision_) return fail(future_error());
    if (query_.revision < core.compacted.load(std::memory_order_acquire)) {
        return fail(compacted_error());
    }
    if (!core.pin(query_.revision)) return fail(compacted_error());
    read_revision_ = query_.revision;
    pinned_ = true;
    return {};
}

Result<ReadStep> RangeCursor::next(ReadTier tier, const SliceBudget& budget, KvSink& sink) {
    SLUICE_CHECK(!progress_.done);
    if (!pinned_) SLUICE_TRY(start());
    const View view(store_.core(), tier);
    SLUICE_TRY_ASSIGN(const ReadStep step,
                      scan_slice(view, query_, read_revision_, budget, progress_, sink));
    if (step == ReadStep::kDone) {
        store_.core().unpin(read_revision_);
        pinned_ = false;
    }
    return step;
}

}  // namespace sluice::storage
