#include "cli/serve.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/clock.h"
#include "base/descriptor_limit.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_sink.h"
#include "base/memory_limit.h"
#include "base/memory_lock.h"
#include "base/metrics.h"
#include "base/tick_clock.h"
#include "cli/dump_signal.h"
#include "cli/signals.h"
#include "cli/units.h"
#include "etcd/server/etcd_server.h"
#include "io/poller_factory.h"
#include "io/posix_file_system.h"
#include "net/server/http_router.h"
#include "observe/lock_text.h"
#include "observe/process_metrics.h"
#include "observe/prometheus.h"
#include "observe/runtime_metrics.h"
#include "observe/trace_json.h"
#include "rt/cpu_count.h"
#include "rt/runtime.h"
#include "rt/topology.h"
#include "storage/wal/injected_faults.h"

namespace sluice::cli {
namespace {

Result<std::vector<io::Address>> listen_addresses(const std::string& urls) {
    SLUICE_TRY_ASSIGN(const auto hosts, hosts_of_urls("listen-client-urls", urls));
    std::vector<io::Address> addresses;
    for (const std::string& host : hosts) {
        SLUICE_TRY_ASSIGN(const io::Address address, io::Address::parse(host));
        addresses.push_back(address);
    }
    return addresses;
}

// Periodic: a plain number means hours, as in etcd.
Result<etcd::AutoCompaction> auto_compaction(const ServeOptions& options) {
    etcd::AutoCompaction config;
    const std::string& text = options.auto_compaction_retention;
    const bool plain = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (options.auto_compaction_mode == "revision") {
        if (!plain || text.size() > 18) {
            return fail(
                Code::kInvalidArgument,
                fmt::format("--auto-compaction-retention: \"{}\" is not a number of revisions",
                            text));
        }
        config.revisions = std::stoll(text);
        if (config.revisions > 0) config.mode = etcd::AutoCompaction::Mode::kRevision;
        return config;
    }
    SLUICE_TRY_ASSIGN(config.period_ns, parse_duration(plain && text != "0" ? text + "h" : text));
    if (config.period_ns > 0) config.mode = etcd::AutoCompaction::Mode::kPeriodic;
    return config;
}

Result<etcd::EtcdServerOptions> server_options(const ServeOptions& o) {
    etcd::EtcdServerOptions s;
    s.service.name = o.name;
    s.service.client_urls = split_list(o.advertise_client_urls);
    s.service.peer_urls = split_list(o.initial_advertise_peer_urls);
    std::ranges::sort(s.service.client_urls);  // as etcd shows them
    std::ranges::sort(s.service.peer_urls);
    s.service.max_txn_ops = o.max_txn_ops;
    s.service.request_bytes_max = o.max_request_bytes;
    constexpr std::uint64_t kDefaultQuotaBytes = 2ull << 30;
    s.service.quota_bytes = o.quota_backend_bytes == 0 ? kDefaultQuotaBytes
                            : o.quota_backend_bytes < 0
                                ? 0
                                : static_cast<std::uint64_t>(o.quota_backend_bytes);
    SLUICE_TRY_ASSIGN(s.listen, listen_addresses(o.listen_client_urls));
    s.data_dir = o.data_dir.empty() ? o.name + ".sluice" : o.data_dir;
    s.wal_dir = o.wal_dir;
    s.cluster_token = o.initial_cluster_token;
    s.must_exist = o.initial_cluster_state == "existing";
    s.unsafe_no_fsync = o.unsafe_no_fsync;
    s.snapshot_count = o.snapshot_count;
    s.memory_limit_bytes = o.memory_limit_bytes;
    s.heartbeat_interval_ms = o.heartbeat_interval_ms;
    s.election_timeout_ms = o.election_timeout_ms;
    s.watch_progress_interval_ns = o.watch_progress_notify_interval_ns;
    s.max_concurrent_streams = o.max_concurrent_streams;
    s.keepalive_min_time_ns = o.grpc_keepalive_min_time_ns;
    s.keepalive_interval_ns = o.grpc_keepalive_interval_ns;
    s.keepalive_timeout_ns = o.grpc_keepalive_timeout_ns;
    SLUICE_TRY_ASSIGN(s.auto_compaction, auto_compaction(o));
    return s;
}

// Serves until a signal comes. On the runtime's first fiber.
Status run_until_signal(etcd::EtcdServer& server, SignalWaiter& signals, const Logger& log,
                        const Clock& clock) {
    const Status started = server.start();
    if (started) {
        std::vector<std::string> addresses;
        for (const io::Address& address : server.addresses())
            addresses.push_back(address.to_string());
        log.info("ready to serve client requests",
                 {{"addresses", fmt::format("{}", fmt::join(addresses, ","))}});
        const int signal = signals.wait();
        log.info("received signal; shutting down", {{"signal", strsignal(signal)}});
    }
    server.stop(clock.now_ns() + limits::kShutdownDrainNs);
    return started;
}

// The machine's files; with SLUICE_FAULT in the environment, through a layer that breaks them as it
// says (storage/wal/injected_faults.h): how the tests of the whole server lose power and disks.
struct Files {
    std::unique_ptr<io::FileSystem> real = io::make_posix_file_system();
    std::unique_ptr<io::FileSystem> broken;
    io::FileSystem& used() { return broken ? *broken : *real; }
};

Result<Files> open_files() {
    Files files;
    if (const char* const faults = std::getenv("SLUICE_FAULT")) {
        SLUICE_TRY_ASSIGN(files.broken, storage::inject_faults(*files.real, faults));
    }
    return files;
}

void add_debug_pages(net::HttpRouter& http, rt::Runtime& runtime) {
    http.add("/debug/fibers", http1::Method::kGet,
             [&runtime](const http1::Request&) { return net::HttpAnswer{.body = runtime.dump()}; });
    http.add("/debug/locks", http1::Method::kGet, [&runtime](const http1::Request&) {
        return net::HttpAnswer{.body = observe::lock_text(runtime.lock_profile())};
    });
    http.add("/debug/trace", http1::Method::kGet, [&runtime](const http1::Request&) {
        return net::HttpAnswer{.content_type = "application/json",
                               .body = observe::trace_json(runtime.trace(), runtime.ticks())};
    });
}

void log_stall(const Logger& log, const rt::StallReport& report) {
    log.warn("a fiber keeps its worker", {{"fiber", report.fiber},
                                          {"name", report.name},
                                          {"worker", report.worker},
                                          {"took", Millis(report.lasted_ns)},
                                          {"cpu", Millis(report.cpu_ns)},
                                          {"cpu-watched", Millis(report.watched_ns)},
                                          {"stack", report.stack}});
}

// The process's CPUs from now on, and for its workers' places: Options::places. Without any flag
// nothing is pinned.
struct Placement {
    std::vector<unsigned> cpus;
    std::vector<rt::WorkerPlace> places;
    unsigned workers;
};

Result<Placement> place(const ServeOptions& options) {
    rt::Topology machine = rt::read_topology();
    if (!options.cpu_list.empty()) {
        auto part = machine.only(options.cpu_list);
        if (!part) return fail(Code::kInvalidArgument, "--cpu-list: " + part.error().message());
        machine = std::move(*part);
    }
    Placement result;
    const bool pins = options.pin_workers != "none";
    if (pins || !options.cpu_list.empty()) {
        for (const rt::Topology::Cpu& cpu : machine.cpus) result.cpus.push_back(cpu.number);
    }
    SLUICE_TRY(rt::pin_thread(result.cpus));  // threads inherit it: the store's, the log's
    result.workers = options.workers != 0 ? options.workers : rt::usable_cpus();
    if (pins) {
        result.places = rt::place_workers(
            machine, result.workers,
            options.pin_workers == "cpu" ? rt::Pinning::kCpu : rt::Pinning::kNode);
    }
    return result;
}

rt::Options runtime_options(const ServeOptions& options, const Placement& placement,
                            io::PollerFactory pollers, MemoryLimit& memory, const Logger& log) {
    rt::Options runtime;
    runtime.workers = placement.workers;
    runtime.workers_min = options.workers_min;
    runtime.places = placement.places;
    runtime.on_unplaced = [&log](const Error& error) {
        log.warn("a thread keeps the CPUs that it has", {{"error", error.message()}});
    };
    runtime.make_poller = std::move(pollers);
    runtime.on_stall = [&log](const rt::StallReport& report) { log_stall(log, report); };
    runtime.memory = &memory;
    runtime.spare_workers_max = limits::kSpareWorkersMax;
    runtime.on_spare = [&log](unsigned spares) {
        log.warn("every worker is stuck and work waits; started a spare one", {{"spares", spares}});
    };
    return runtime;
}

int could_not_start(const Logger& log, const Error& error) {
    log.error("cannot start", {{"error", error.message()}});
    log.flush();
    return 1;
}

}  // namespace

int serve(const ServeOptions& options) {
    SignalWaiter signals;  // first: from here on a signal means a clean stop; threads inherit it
    auto placement = place(options);  // as early: threads inherit their CPUs, the log's too
    raise_descriptor_limit();
    const SystemClock clock;
    const bool to_stderr = options.log_outputs == "default";
    auto sink = open_log_sink(to_stderr ? "stderr" : options.log_outputs);
    if (!sink) {
        std::fprintf(stderr, "sluice serve: --log-outputs: %s\n", sink.error().message().c_str());
        return 1;
    }
    const Logger log(**sink, clock, parse_log_level(options.log_level).value_or(LogLevel::kInfo),
                     parse_log_format(options.log_format).value_or(LogFormat::kJson));
    auto configured = server_options(options);
    if (!configured) return could_not_start(log, configured.error());
    if (!placement) return could_not_start(log, placement.error());
    configured->thread_cpus = placement->cpus;
    const Status locked = options.lock_memory ? lock_memory() : Status();
    if (!locked) return could_not_start(log, locked.error());
    auto pollers = io::make_poller_factory(options.poller);
    if (!pollers) return could_not_start(log, pollers.error());

    const TickClock ticks(clock);
    metrics::Registry registry;
    observe::add_process_metrics(registry);
    registry.computed("sluice_log_lines_dropped_total",
                      "Lines that the process's own log lost because its queue was full.",
                      metrics::Type::kCounter,
                      [&sink] { return static_cast<double>((*sink)->dropped()); });
    net::HttpRouter http;
    http.add("/metrics", http1::Method::kGet, [&](const http1::Request&) {
        return net::HttpAnswer{.content_type = std::string(observe::kPrometheusContentType),
                               .body = observe::prometheus_text(registry)};
    });
    auto files = open_files();
    if (!files) return could_not_start(log, files.error());
    MemoryLimit memory(options.memory_limit_bytes + limits::kServeMemoryBytes);
    rt::Runtime runtime(runtime_options(options, *placement, *pollers, memory, log));
    observe::add_runtime_metrics(registry, runtime);
    const DumpOnSignal dump_on_signal(runtime);
    if (options.enable_pprof) add_debug_pages(http, runtime);
    etcd::EtcdServer server(std::move(*configured), {files->used(), clock, ticks, log, registry,
                                                     http, runtime.worker_slots()});
    const Status opened = server.open();
    if (!opened) return could_not_start(log, opened.error());
    Status served;
    runtime.run([&] { served = run_until_signal(server, signals, log, clock); });
    if (!served) return could_not_start(log, served.error());
    log.info("stopped");
    log.flush();
    return 0;
}

}  // namespace sluice::cli
