// The options of `sluice serve`: flags, each also as ETCD_<NAME> in the environment.
//
// Names, defaults and units are etcd's where the thing is the same; what is Sluice's own says so in
// its help text. A flag on the command line wins over the environment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace sluice::cli {

struct ServeOptions {
    std::string name = "default";
    std::string data_dir;  // empty: "<name>.sluice"
    std::string wal_dir;   // empty: inside data_dir
    std::string listen_client_urls = "http://localhost:2379";
    std::string advertise_client_urls = "http://localhost:2379";
    std::string listen_peer_urls = "http://localhost:2380";
    std::string initial_advertise_peer_urls = "http://localhost:2380";
    std::string initial_cluster;
    std::string initial_cluster_state = "new";
    std::string initial_cluster_token = "etcd-cluster";
    std::uint64_t snapshot_count = 10'000;
    std::uint64_t heartbeat_interval_ms = 100;
    std::uint64_t election_timeout_ms = 1'000;
    std::int64_t quota_backend_bytes = 0;  // 0: 2 GiB; negative: no quota
    std::uint32_t max_txn_ops = 128;
    std::uint32_t max_request_bytes = 1'572'864;
    std::uint32_t max_concurrent_streams = UINT32_MAX;
    TimeNs grpc_keepalive_min_time_ns = 5 * kSecond;
    TimeNs grpc_keepalive_interval_ns = 7200 * kSecond;
    TimeNs grpc_keepalive_timeout_ns = 20 * kSecond;
    std::string auto_compaction_mode = "periodic";
    std::string auto_compaction_retention = "0";
    TimeNs watch_progress_notify_interval_ns = 600 * kSecond;
    std::string log_level = "info";
    std::string log_format = "json";
    std::string log_outputs = "default";
    bool enable_pprof = false;
    bool unsafe_no_fsync = false;

    std::uint32_t workers = 0;      // 0: one for each CPU this process may run on
    std::uint32_t workers_min = 0;  // 0: the number of workers is fixed
    std::string cpu_list;           // empty: all that this process may use
    std::string pin_workers = "none";
    bool lock_memory = false;
    std::string poller = "auto";
    std::uint64_t memory_limit_bytes = 128ull << 20;
};

// Adds the flags to `command`; they write into `options` when it parses. `options` must outlive it.
void add_serve_flags(CLI::App& command, ServeOptions& options);

// What CLI parsing cannot see: values that contradict each other, URLs that cannot be listened on,
// a cluster of more than one member. kInvalidArgument with one line that names the flag.
Status check_serve_options(const ServeOptions& options);

// The parts of a comma-separated list; of an empty one, one empty part.
std::vector<std::string> split_list(const std::string& list);

// Where a URL list such as "http://127.0.0.1:2379,http://[::1]:2379" points: "host:port" each.
// kInvalidArgument names `flag`.
Result<std::vector<std::string>> hosts_of_urls(const std::string& flag, const std::string& urls);

}  // namespace sluice::cli
