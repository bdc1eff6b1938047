// What the services and the state machine count themselves, under etcd's names.
//
// Operations are counted where etcd counts them: a transaction of its store tallies the ranges,
// puts and deletes it runs (a put that wants the previous pair is a range too, and so is a
// compare), and is one more of etcd_mvcc_txn_total if they are more than one. record() takes such a
// tally; any fiber; about 5 ns for each kind that the tally has.
//
//   OperationTally tally;
//   run_put(batch, request, &prev, tally);
//   metrics.record(tally);
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metrics.h"

namespace sluice::etcd {

struct OperationTally {
    std::uint32_t ranges = 0;
    std::uint32_t puts = 0;
    std::uint32_t deletes = 0;
    std::uint64_t put_bytes = 0;  // keys and values
};

struct OperationMetrics {
    explicit OperationMetrics(metrics::Registry& registry);

    void record(const OperationTally& tally) noexcept;

    // Those of Range requests are not in here: their method counts them (server_metrics.h).
    std::atomic<std::uint64_t> ranges{0};
    metrics::Counter& puts;
    metrics::Counter& deletes;
    metrics::Counter& txns;
    metrics::Gauge& put_bytes;

    metrics::Counter& lease_granted;
    metrics::Counter& lease_revoked;
    metrics::Counter& lease_renewed;
    metrics::Counter& lease_expired;
    metrics::Histogram& lease_ttl;  // seconds

    metrics::Counter& health_success;
    metrics::Counter& health_failures;

    metrics::Histogram& hash;  // these in seconds
    metrics::Histogram& hash_revision;
    metrics::Histogram& snapshot;
    metrics::Histogram& defragment;
    metrics::Gauge& defragmenting;
    metrics::Histogram& compaction;  // milliseconds
    metrics::Gauge& last_compaction;
};

}  // namespace sluice::etcd
