#include "cli/serve_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <functional>
#include <set>

#include "cli/units.h"
#include "rt/topology.h"

namespace sluice::cli {
namespace {

std::string environment_name(const std::string& flag) {
    std::string name = "ETCD_";
    for (const char c : flag) {
        name.push_back(c == '-' ? '_'
                                : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
    }
    return name;
}

// The flags of one command, by the kind of their value.
class Flags {
  public:
    explicit Flags(CLI::App& command) : command_(command) {}

    void group(std::string name) { group_ = std::move(name); }

    template <class T>
    CLI::Option* value(const std::string& flag, T& target, const std::string& help) {
        return dress(command_.add_option("--" + flag, target, help), flag)->capture_default_str();
    }
    CLI::Option* toggle(const std::string& flag, bool& target, const std::string& help) {
        return dress(command_.add_flag("--" + flag, target, help), flag);
    }
    void duration(const std::string& flag, TimeNs& target, const std::string& shown,
                  const std::string& help) {
        parsed(flag, target, shown, help, parse_duration)->type_name("DURATION");
    }
    void bytes(const std::string& flag, std::uint64_t& target, const std::string& shown,
               const std::string& help) {
        parsed(flag, target, shown, help, parse_bytes)->type_name("BYTES");
    }

  private:
    CLI::Option* dress(CLI::Option* option, const std::string& flag) {
        // As in etcd a flag that comes twice counts as it came last.
        return option->envname(environment_name(flag))->group(group_)->take_last();
    }
    template <class T, class Parse>
    CLI::Option* parsed(const std::string& flag, T& target, const std::string& shown,
                        const std::string& help, Parse parse) {
        const auto check = [parse](const std::string& text) {
            const auto value = parse(text);
            return value ? std::string() : value.error().message();
        };
        const std::function<void(const std::string&)> read = [&target, parse](const auto& text) {
            target = parse(text).value();  // it was checked
        };
        return dress(command_.add_option_function<std::string>("--" + flag, read, help), flag)
            ->default_str(shown)
            ->check(check);
    }

    CLI::App& command_;
    std::string group_;
};

void add_member_flags(Flags& flags, ServeOptions& o) {
    flags.group("Member");
    flags.value("name", o.name, "Human-readable name for this member.");
    flags.value("data-dir", o.data_dir, "Path to the data directory (default: <name>.sluice).");
    flags.value("wal-dir", o.wal_dir,
                "Path to a directory of its own for the log (default: in data-dir).");
    flags.value(
        "snapshot-count", o.snapshot_count,
        "Number of committed entries after which the store is flushed and the log recycled.");
    flags.value("listen-client-urls", o.listen_client_urls,
                "Comma-separated URLs to listen on for client traffic.");
    flags.value("quota-backend-bytes", o.quota_backend_bytes,
                "Raise the NOSPACE alarm when the store is larger (0: 2 GiB; negative: never).");
    flags.value("max-txn-ops", o.max_txn_ops, "Maximum number of operations in a transaction.");
    flags.value("max-request-bytes", o.max_request_bytes,
                "Maximum size of a client request, bytes.");
    flags.value("max-concurrent-streams", o.max_concurrent_streams,
                "Maximum number of streams that a client may have open on one connection.");
    flags.duration("grpc-keepalive-min-time", o.grpc_keepalive_min_time_ns, "5s",
                   "Minimum interval between client pings; a client that pings faster is cut off.");
    flags.duration("grpc-keepalive-interval", o.grpc_keepalive_interval_ns, "2h0m0s",
                   "Ping a silent client this often to see whether it is alive (0: never).");
    flags.duration("grpc-keepalive-timeout", o.grpc_keepalive_timeout_ns, "20s",
                   "Close a connection whose client has not answered a ping for this long.");
    flags.value("heartbeat-interval", o.heartbeat_interval_ms, "Heartbeat interval, milliseconds.");
    flags.value("election-timeout", o.election_timeout_ms,
                "Election timeout, milliseconds; also sets the shortest lease.");
    flags.duration("watch-progress-notify-interval", o.watch_progress_notify_interval_ns, "10m0s",
                   "Interval of progress notifications to idle watchers that asked for them.");
}

void add_cluster_flags(Flags& flags, ServeOptions& o) {
    flags.group("Clustering (one member so far)");
    flags.value("advertise-client-urls", o.advertise_client_urls,
                "Comma-separated client URLs that MemberList reports.");
    flags.value("listen-peer-urls", o.listen_peer_urls,
                "Accepted for compatibility; nothing listens there while a cluster is one member.");
    flags.value("initial-advertise-peer-urls", o.initial_advertise_peer_urls,
                "Peer URLs that MemberList reports; they go into the ids at bootstrap.");
    flags.value("initial-cluster", o.initial_cluster,
                "Members at bootstrap; may name this member alone (default: it).");
    flags
        .value("initial-cluster-state", o.initial_cluster_state,
               "'new', or 'existing': only start with a data directory that has a member.")
        ->check(CLI::IsMember({"new", "existing"}));
    flags.value("initial-cluster-token", o.initial_cluster_token,
                "Token that goes into the member's and the cluster's id at bootstrap, as in etcd.");
    flags.group("Compaction");
    flags
        .value("auto-compaction-mode", o.auto_compaction_mode,
               "'periodic' (retention is a time) or 'revision' (retention is a number).")
        ->check(CLI::IsMember({"periodic", "revision"}));
    flags.value("auto-compaction-retention", o.auto_compaction_retention,
                "History to keep: hours or a duration, or a number of revisions (0: keep all).");
}

void add_process_flags(Flags& flags, ServeOptions& o) {
    flags.group("Logging");
    flags.value("log-level", o.log_level, "debug, info, warn, error, panic or fatal.")
        ->check(CLI::IsMember({"debug", "info", "warn", "error", "panic", "fatal"}));
    flags.value("log-format", o.log_format, "'json' or 'console'.")
        ->check(CLI::IsMember({"json", "console"}));
    flags.value("log-outputs", o.log_outputs, "'default' or 'stderr', 'stdout', or a file's path.");
    flags.toggle("enable-pprof", o.enable_pprof,
                 "Serve /debug/fibers (all stacks), /debug/locks (who waited for whom) and "
                 "/debug/trace (for Perfetto).");
    flags.group("Sluice's own");
    flags.value("workers", o.workers, "Threads that run requests (0: one for each CPU).");
    flags.value("workers-min", o.workers_min,
                "Let the number of threads that run follow the load, from this to --workers, which "
                "may be more than the CPUs (0: it is fixed).");
    flags.value("cpu-list", o.cpu_list, "CPUs to run on, such as 0-3,8 (default: all allowed).");
    flags
        .value("pin-workers", o.pin_workers,
               "'cpu': each worker on one CPU of the list; 'node': on those of one NUMA node; "
               "'none'.")
        ->check(CLI::IsMember({"none", "cpu", "node"}));
    flags.toggle("lock-memory", o.lock_memory, "Never let memory be written to swap.");
    flags
        .value("poller", o.poller, "'io_uring', 'epoll', or 'auto': io_uring where it is allowed.")
        ->check(CLI::IsMember({"auto", "epoll", "io_uring"}));
    flags.bytes("memory-limit", o.memory_limit_bytes, "128MiB",
                "Memory for the store's cache and write buffers.");
    flags.group("Unsafe");
    flags.toggle("unsafe-no-fsync", o.unsafe_no_fsync,
                 "Do not sync the log: a loss of power loses acknowledged writes, or the member.");
}

}  // namespace

void add_serve_flags(CLI::App& command, ServeOptions& options) {
    Flags flags(command);
    add_member_flags(flags, options);
    add_cluster_flags(flags, options);
    add_process_flags(flags, options);
    command.footer(
        "DURATION: 300ms, 10s, 1h30m. BYTES: a number with or without a unit, 65536, 64MiB, 2G.\n"
        "A flag wins over its variable. Names and defaults are etcd's where the thing is the "
        "same.");
}

std::vector<std::string> split_list(const std::string& list) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= list.size()) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        parts.push_back(list.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

Result<std::vector<std::string>> hosts_of_urls(const std::string& flag, const std::string& urls) {
    std::vector<std::string> hosts;
    for (const std::string& url : split_list(urls)) {
        constexpr std::string_view kScheme = "http://";
        if (url.starts_with("https://")) {
            return fail(
                Code::kInvalidArgument,
                fmt::format("--{}: \"{}\": TLS is not supported yet, use http://", flag, url));
        }
        if (!url.starts_with(kScheme)) {
            return fail(Code::kInvalidArgument,
                        fmt::format("--{}: \"{}\": want http://host:port", flag, url));
        }
        std::string host = url.substr(kScheme.size());
        if (host.ends_with('/')) host.pop_back();
        const std::size_t colon = host.rfind(':');
        const bool has_port = colon != std::string::npos && colon > 0 && colon + 1 < host.size() &&
                              std::all_of(host.begin() + static_cast<std::ptrdiff_t>(colon) + 1,
                                          host.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (!has_port || host.find('/') != std::string::npos) {
            return fail(Code::kInvalidArgument,
                        fmt::format("--{}: \"{}\": want http://host:port", flag, url));
        }
        hosts.push_back(std::move(host));
    }
    return hosts;
}

namespace {

// As etcd has it: the list names this member with the URLs that it advertises.
Status check_initial_cluster(const ServeOptions& options) {
    SLUICE_TRY(hosts_of_urls("initial-advertise-peer-urls", options.initial_advertise_peer_urls));
    if (options.initial_cluster.empty()) return {};
    std::set<std::string> listed;
    for (const std::string& member : split_list(options.initial_cluster)) {
        const std::size_t equals = member.find('=');
        if (equals == std::string::npos) {
            return fail(Code::kInvalidArgument,
                        fmt::format("--initial-cluster: \"{}\": want NAME=URL", member));
        }
        if (member.substr(0, equals) != options.name) {
            return fail(Code::kInvalidArgument,
                        fmt::format("--initial-cluster names \"{}\", not only this member, \"{}\": "
                                    "clusters of more than one member are not supported yet",
                                    member.substr(0, equals), options.name));
        }
        listed.insert(member.substr(equals + 1));
    }
    const auto advertised = split_list(options.initial_advertise_peer_urls);
    if (listed != std::set<std::string>(advertised.begin(), advertised.end())) {
        return fail(Code::kInvalidArgument,
                    fmt::format("--initial-cluster has {} but --initial-advertise-peer-urls has {}",
                                options.initial_cluster, options.initial_advertise_peer_urls));
    }
    return {};
}

}  // namespace

Status check_serve_options(const ServeOptions& options) {
    const auto bad = [](std::string message) {
        return fail(Code::kInvalidArgument, std::move(message));
    };
    SLUICE_TRY(hosts_of_urls("listen-client-urls", options.listen_client_urls));
    SLUICE_TRY(hosts_of_urls("advertise-client-urls", options.advertise_client_urls));
    if (options.name.empty()) return bad("--name must not be empty");
    SLUICE_TRY(check_initial_cluster(options));
    if (options.max_txn_ops == 0) return bad("--max-txn-ops must be at least 1");
    if (!options.cpu_list.empty() && !rt::parse_cpu_list(options.cpu_list)) {
        return bad(
            fmt::format("--cpu-list: {}", rt::parse_cpu_list(options.cpu_list).error().message()));
    }
    if (options.workers != 0 && options.workers_min > options.workers) {
        return bad(fmt::format("--workers-min[{}] must not be above --workers[{}]",
                               options.workers_min, options.workers));
    }
    if (options.max_request_bytes == 0) return bad("--max-request-bytes must be at least 1");
    if (options.heartbeat_interval_ms == 0) return bad("--heartbeat-interval must be at least 1");
    if (options.election_timeout_ms < 5 * options.heartbeat_interval_ms) {
        return bad(
            fmt::format("--election-timeout[{}ms] should be at least as 5 times as "
                        "--heartbeat-interval[{}ms]",
                        options.election_timeout_ms, options.heartbeat_interval_ms));
    }
    return {};
}

}  // namespace sluice::cli
