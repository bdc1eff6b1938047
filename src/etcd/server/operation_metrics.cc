#include "etcd/server/operation_metrics.h"

namespace sluice::etcd {

using metrics::exponential_bounds;

OperationMetrics::OperationMetrics(metrics::Registry& r)
    : puts(r.counter("etcd_mvcc_put_total", "Total number of puts seen by this member.")),
      deletes(r.counter("etcd_mvcc_delete_total", "Total number of deletes seen by this member.")),
      txns(r.counter("etcd_mvcc_txn_total", "Total number of txns seen by this member.")),
      put_bytes(r.gauge("etcd_debugging_mvcc_total_put_size_in_bytes",
                        "The total size of put kv pairs seen by this member.")),
      lease_granted(
          r.counter("etcd_debugging_lease_granted_total", "The total number of granted leases.")),
      lease_revoked(
          r.counter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.")),
      lease_renewed(r.counter("etcd_debugging_lease_renewed_total",
                              "The number of renewed leases seen by the leader.")),
      lease_expired(r.counter("etcd_debugging_server_lease_expired_total",
                              "The total number of expired leases.")),
      lease_ttl(r.histogram("etcd_debugging_lease_ttl_total", "Bucketed histogram of lease TTLs.",
                            exponential_bounds(1, 2, 24))),
      health_success(
          r.counter("etcd_server_health_success", "The total number of successful health checks.")),
      health_failures(
          r.counter("etcd_server_health_failures", "The total number of failed health checks.")),
      hash(r.histogram("etcd_mvcc_hash_duration_seconds",
                       "The latency distribution of storage hash operation.",
                       exponential_bounds(.01, 2, 15))),
      hash_revision(r.histogram("etcd_mvcc_hash_rev_duration_seconds",
                                "The latency distribution of storage hash by revision operation.",
                                exponential_bounds(.01, 2, 15))),
      snapshot(r.histogram("etcd_disk_backend_snapshot_duration_seconds",
                           "The latency distribution of backend snapshots.",
                           exponential_bounds(.01, 2, 17))),
      defragment(r.histogram("etcd_disk_backend_defrag_duration_seconds",
                             "The latency distribution of backend defragmentation.",
                             exponential_bounds(.1, 2, 13))),
      defragmenting(r.gauge("etcd_disk_defrag_inflight",
                            "Whether or not defrag is active on the member. 1 means active, 0 "
                            "means not.")),
      compaction(r.histogram("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                             "Bucketed histogram of db compaction total duration.",
                             exponential_bounds(100, 2, 14))),
      last_compaction(r.gauge("etcd_debugging_mvcc_db_compaction_last",
                              "The unix time of the last db compaction. Resets to 0 on start.")) {}

void OperationMetrics::record(const OperationTally& tally) noexcept {
    if (tally.puts > 0) {
        puts.add(tally.puts);
        put_bytes.add(static_cast<std::int64_t>(tally.put_bytes));
    }
    if (tally.deletes > 0) deletes.add(tally.deletes);
    if (tally.ranges > 0) ranges.fetch_add(tally.ranges, std::memory_order_relaxed);
    if (tally.ranges + tally.puts + tally.deletes > 1) txns.add();
}

}  // namespace sluice::etcd
