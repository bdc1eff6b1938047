// What a transaction reads from: the writer's batch, or the store at one revision.
//
// A transaction that writes is evaluated by the applier over its batch (BatchView); one that only
// reads, on the reader's fiber over the store (range_reader.cc), at one revision so that all its
// reads agree.
#pragma once

#include <utility>

#include "base/result.h"
#include "etcd/server/operation_metrics.h"
#include "storage/mvcc/applier.h"

namespace sluice::etcd {

class TxnView {
  public:
    virtual ~TxnView() = default;
    // The revision that reads see (0 in a query means this one), and the oldest one that can be
    // read.
    virtual storage::Revision revision() const = 0;
    virtual storage::Revision compacted() const = 0;
    Status range(const storage::RangeQuery& query, storage::RangeResult& out) {
        tally_.ranges += 1;
        return read(query, out);
    }
    // What has been run so far, for the metrics.
    OperationTally& tally() noexcept { return tally_; }
    OperationTally take_tally() noexcept { return std::exchange(tally_, {}); }

  private:
    virtual Status read(const storage::RangeQuery& query, storage::RangeResult& out) = 0;

    OperationTally tally_;
};

class BatchView final : public TxnView {
  public:
    explicit BatchView(storage::Applier& batch) : batch_(batch) {}
    storage::Revision revision() const override { return batch_.read_revision(); }
    storage::Revision compacted() const override { return batch_.compacted_revision(); }

  private:
    Status read(const storage::RangeQuery& query, storage::RangeResult& out) override {
        return batch_.range(query, out);
    }

    storage::Applier& batch_;
};

}  // namespace sluice::etcd
