#include "etcd/server/server_metrics.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/histogram.h"
#include "base/tick_clock.h"

namespace sluice::etcd {
namespace {

using metrics::Registry;
using metrics::Type;

// A histogram of ticks in the buckets that etcd uses for seconds.
metrics::HistogramSnapshot to_seconds(const HdrHistogram& ticks_histogram, const TickClock& ticks,
                                      std::vector<double> bounds) {
    constexpr Ticks kUnit = Ticks{1} << 30;
    const double ticks_per_second = 1e9 * kUnit / static_cast<double>(ticks.to_ns(kUnit));
    metrics::HistogramSnapshot result;
    result.bounds = std::move(bounds);
    std::uint64_t before = 0;
    for (const double bound : result.bounds) {
        const auto up_to =
            ticks_histogram.count_at_most(static_cast<std::uint64_t>(bound * ticks_per_second));
        result.counts.push_back(up_to - before);
        before = up_to;
    }
    result.counts.push_back(ticks_histogram.count() - before);
    result.sum = static_cast<double>(ticks_histogram.sum()) / ticks_per_second;
    return result;
}

template <class Read>
void gauge(Registry& registry, std::string_view name, std::string_view help, Read read) {
    registry.computed(name, help, Type::kGauge, [read] { return static_cast<double>(read()); });
}
template <class Read>
void counter(Registry& registry, std::string_view name, std::string_view help, Read read) {
    registry.computed(name, help, Type::kCounter, [read] { return static_cast<double>(read()); });
}

void add_raft_metrics(Registry& r, const ServiceParts& parts) {
    const consensus::Node& node = parts.node;
    gauge(r, "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.",
          [&node] { return node.view().leader_id != 0; });
    gauge(r, "etcd_server_is_leader",
          "Whether or not this member is a leader. 1 if is, 0 otherwise.",
          [&node] { return node.view().leader_id == node.view().member_id; });
    gauge(r, "etcd_server_is_learner",
          "Whether or not this member is a learner. 1 if is, 0 otherwise.", [] { return 0; });
    counter(r, "etcd_server_leader_changes_seen_total", "The number of leader changes seen.",
            [&node] { return node.view().leader_id != 0; });
    gauge(r, "etcd_server_proposals_committed_total",
          "The total number of consensus proposals committed.",
          [&node] { return node.view().commit_index; });
    gauge(r, "etcd_server_proposals_applied_total",
          "The total number of consensus proposals applied.",
          [&node] { return node.view().applied_index; });
    gauge(r, "etcd_server_proposals_pending", "The current number of pending proposals to commit.",
          [&parts] {
              const std::uint64_t pending = parts.node.counters().proposals_pending;
              return pending - std::min(pending, parts.proposer.timeouts().abandoned());
          });
    counter(r, "etcd_server_proposals_failed_total", "The total number of failed proposals seen.",
            [&parts] {
                return parts.node.counters().proposals_failed +
                       parts.proposer.timeouts().timed_out();
            });
    gauge(r, "etcd_disk_wal_write_bytes_total", "Total number of bytes written in WAL.",
          [&node] { return node.counters().log_bytes; });
}

void add_disk_histograms(Registry& r, const ServiceParts& parts) {
    r.add_source([&node = parts.node, &ticks = parts.ticks](metrics::Visitor& visitor) {
        const auto add = [&](std::string_view name, std::string_view help,
                             const HdrHistogram& histogram) {
            visitor.family(name, help, Type::kHistogram);
            visitor.histogram(
                {}, to_seconds(histogram, ticks, metrics::exponential_bounds(0.001, 2, 14)));
        };
        add("etcd_disk_wal_fsync_duration_seconds",
            "The latency distributions of fsync called by WAL.", node.fdatasync_ticks());
        add("etcd_disk_wal_write_duration_seconds",
            "The latency distributions of write called by WAL.", node.write_ticks());
        add("etcd_disk_backend_commit_duration_seconds",
            "The latency distributions of commit called by backend.", node.apply_ticks());
    });
}

void add_store_metrics(Registry& r, const ServiceParts& parts) {
    const storage::MvccStore& store = parts.store;
    gauge(r, "etcd_mvcc_db_total_size_in_bytes",
          "Total size of the underlying database physically allocated in bytes.",
          [&store] { return store.size_bytes(); });
    gauge(r, "etcd_mvcc_db_total_size_in_use_in_bytes",
          "Total size of the underlying database logically in use in bytes.",
          [&store] { return store.size_in_use_bytes(); });
    gauge(r, "etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.",
          [&options = parts.options] { return options.quota_bytes; });
    gauge(r, "etcd_debugging_mvcc_current_revision", "The current revision of store.",
          [&store] { return store.current_revision(); });
    gauge(r, "etcd_debugging_mvcc_compact_revision",
          "The revision of the last compaction in store.",
          [&store] { return store.compacted_revision(); });
    gauge(r, "etcd_debugging_mvcc_keys_total", "Total number of keys.",
          [&store] { return store.stats().keys; });
}

void add_watch_metrics(Registry& r, const ServiceParts& parts) {
    const WatchHub& hub = parts.hub;
    gauge(r, "etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.",
          [&hub] { return hub.stats().streams; });
    gauge(r, "etcd_debugging_mvcc_watcher_total", "Total number of watchers.",
          [&hub] { return hub.stats().watchers; });
    gauge(r, "etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers.",
          [&hub] { return hub.stats().slow; });
    counter(r, "etcd_debugging_mvcc_events_total", "Total number of events sent by this member.",
            [&hub] { return hub.stats().events; });
}

// A Range request is one range of etcd's, also when the store refuses its revision.
void add_range_count(Registry& r, const ServiceParts& parts,
                     const grpc::ServiceRegistry& services) {
    const grpc::Method* const range = services.find("/etcdserverpb.KV/Range");
    counter(r, "etcd_mvcc_range_total", "Total number of ranges seen by this member.",
            [range, &ranges = parts.metrics.ranges] {
                const auto handled = [range](Code code) {
                    return range->handled[static_cast<std::size_t>(code)].load(
                        std::memory_order_relaxed);
                };
                return handled(Code::kOk) + handled(Code::kOutOfRange) +
                       ranges.load(std::memory_order_relaxed);
            });
}

// What the state machine is slow at, by etcd's measure of slow.
constexpr TimeNs kSlowApplyNs = 100 * kMillisecond;

void add_slowness(Registry& r, const ServiceParts& parts) {
    counter(r, "etcd_server_slow_apply_total",
            "The total number of slow apply requests (likely overloaded from slow disk).",
            [&node = parts.node, &ticks = parts.ticks] {
                const HdrHistogram& apply = node.apply_ticks();
                constexpr Ticks kUnit = Ticks{1} << 30;
                const auto slow = static_cast<double>(kSlowApplyNs) * kUnit /
                                  static_cast<double>(ticks.to_ns(kUnit));
                return apply.count() - apply.count_at_most(static_cast<std::uint64_t>(slow));
            });
    // One member's reads need no round of messages (consensus/node.h), which could be slow or fail.
    counter(r, "etcd_server_slow_read_indexes_total",
            "The total number of pending read indexes not in sync with leader's or timed out read "
            "index requests.",
            [] { return 0; });
    counter(r, "etcd_server_read_indexes_failed_total",
            "The total number of failed read indexes seen.", [] { return 0; });
}

void visit_alarms(metrics::Visitor& visitor, const ServiceParts& parts) {
    visitor.family("etcd_debugging_server_alarms",
                   "Alarms for every member in cluster. 1 for 'server_id' label with current ID.",
                   Type::kGauge);
    for (const RaisedAlarm& alarm : parts.alarms.list(AlarmType::NONE)) {
        visitor.value({{"server_id", fmt::format("{:x}", alarm.member_id)},
                       {"alarm_type", etcdserverpb::AlarmType_Name(alarm.type)}},
                      1);
    }
}

void add_connection_metrics(Registry& r, const net::Server& server) {
    counter(r, "etcd_network_client_grpc_received_bytes_total",
            "The total number of bytes received from grpc clients.",
            [&server] { return server.counters().bytes_received; });
    counter(r, "etcd_network_client_grpc_sent_bytes_total",
            "The total number of bytes sent to grpc clients.",
            [&server] { return server.counters().bytes_sent; });
    gauge(r, "sluice_connections_open", "Client connections that are open.",
          [&server] { return server.counters().open; });
    counter(r, "sluice_connections_accepted_total", "Client connections accepted.",
            [&server] { return server.counters().accepted; });
}

metrics::Labels method_labels(const grpc::Method& method) {
    return {{"grpc_type", std::string(grpc::method_kind_name(method.kind))},
            {"grpc_service", method.service},
            {"grpc_method", method.name}};
}

void visit_calls(metrics::Visitor& visitor, const grpc::ServiceRegistry& services) {
    const auto each = [&](std::string_view name, std::string_view help, auto read) {
        visitor.family(name, help, Type::kCounter);
        for (const auto& method : services.methods()) {
            visitor.value(method_labels(*method),
                          static_cast<double>(read(*method).load(std::memory_order_relaxed)));
        }
    };
    each("grpc_server_started_total", "Total number of RPCs started on the server.",
         [](const grpc::Method& m) -> const auto& { return m.started; });
    each("grpc_server_msg_received_total",
         "Total number of RPC stream messages received on the server.",
         [](const grpc::Method& m) -> const auto& { return m.messages_received; });
    each("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.",
         [](const grpc::Method& m) -> const auto& { return m.messages_sent; });
    visitor.family(
        "grpc_server_handled_total",
        "Total number of RPCs completed on the server, regardless of success or failure.",
        Type::kCounter);
    for (const auto& method : services.methods()) {
        for (std::size_t code = 0; code < grpc::Method::kCodes; ++code) {
            metrics::Labels labels = method_labels(*method);
            labels.emplace_back("grpc_code", code_name(static_cast<Code>(code)));
            visitor.value(
                labels, static_cast<double>(method->handled[code].load(std::memory_order_relaxed)));
        }
    }
}

}  // namespace

void add_server_metrics(Registry& registry, const ServiceParts& parts,
                        const grpc::ServiceRegistry& services, const net::Server& server) {
    add_raft_metrics(registry, parts);
    add_disk_histograms(registry, parts);
    add_store_metrics(registry, parts);
    add_watch_metrics(registry, parts);
    add_range_count(registry, parts, services);
    add_slowness(registry, parts);
    add_connection_metrics(registry, server);
    const auto constant = [] { return 1.0; };
    registry.computed("etcd_server_id", "Server or member ID in hexadecimal format.", Type::kGauge,
                      constant, {{"server_id", fmt::format("{:x}", parts.identity.member_id)}});
    registry.computed("etcd_server_version", "Which version is running.", Type::kGauge, constant,
                      {{"server_version", std::string(kEtcdVersion)}});
    registry.computed("etcd_cluster_version", "Which version is running.", Type::kGauge, constant,
                      {{"cluster_version", "3.6"}});
    registry.add_source([&parts](metrics::Visitor& visitor) { visit_alarms(visitor, parts); });
    registry.add_source([&services](metrics::Visitor& visitor) { visit_calls(visitor, services); });
}

}  // namespace sluice::etcd
