// The two ways to read keys at a revision, for RangeCursor, MvccStore and Applier. Internal.
//
// Both hand out only what a reader at `at` sees. They never suspend; see storage/mvcc/view.h for
// tiers and errors. The sink of point_read may run under a lock of the hot cache.
#pragma once

#include "base/result.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/view.h"

namespace sluice::storage {

// One key, from the overlay, the hot cache or RocksDB. kFound: the sink got it.
Result<Lookup> point_read(const View& view, std::string_view key, Revision at, KvSink& sink);

// A slice of a range. Counts live keys, filters, and hands out up to query.scan_limit() pairs.
Result<ReadStep> scan_slice(const View& view, const RangeQuery& query, Revision at,
                            const SliceBudget& budget, RangeProgress& progress, KvSink& sink);

// The pairs as KeyValues.
class CollectSink final : public KvSink {
  public:
    explicit CollectSink(std::vector<KeyValue>& out) : out_(out) {}
    void on_kv(const KvView& kv) override { out_.push_back(kv.copy()); }

  private:
    std::vector<KeyValue>& out_;
};

}  // namespace sluice::storage
