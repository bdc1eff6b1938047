#include "bench/command.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/descriptor_limit.h"
#include "bench/idle.h"
#include "bench/report.h"
#include "bench/runner.h"

namespace sluice::bench {

Command::Command(CLI::App& parent)
    : command_(parent.add_subcommand(
          "bench", "Load an etcd v3 endpoint and measure rate, latency and CPU per call.")) {
    auto& c = *command_;
    c.add_option("workload", workload_,
                 "What to ask: put, get, range, txn, watch, empty; or idle: what a connection "
                 "that does nothing costs the server in memory.")
        ->check(CLI::IsMember({"put", "get", "range", "txn", "watch", "empty", "idle"}))
        ->required();
    c.add_option("--endpoint", options_.endpoint, "ADDRESS:PORT of the server.")
        ->capture_default_str();
    c.add_option("--clients", options_.clients, "Calls in flight, over all connections.")
        ->capture_default_str();
    c.add_option("--connections", options_.connections,
                 "Connections; clients are dealt out to them.")
        ->capture_default_str();
    c.add_option("--threads", options_.threads, "Threads of the load generator.")
        ->capture_default_str();
    c.add_option("--total", options_.total, "Stop after this many measured calls (0: by time).")
        ->capture_default_str();
    c.add_option("--duration", duration_s_, "Seconds to measure.")->capture_default_str();
    c.add_option("--warmup", warmup_s_, "Seconds before measuring.")->capture_default_str();
    c.add_option("--timeout", timeout_s_, "Seconds sent as each call's grpc-timeout (0: none).")
        ->check(CLI::Range(0.0, 90.0))
        ->capture_default_str();
    c.add_option("--keys", options_.keys, "Number of different keys.")->capture_default_str();
    c.add_option("--key-size", options_.key_bytes, "Bytes of a key.")->capture_default_str();
    c.add_option("--key-prefix", options_.key_prefix, "What every key starts with.")
        ->capture_default_str();
    c.add_option("--key-order", key_order_, "uniform, sequential or zipfian.")
        ->check(CLI::IsMember({"uniform", "sequential", "zipfian"}))
        ->capture_default_str();
    c.add_option("--value-size", options_.value_bytes, "Bytes of a value.")->capture_default_str();
    c.add_flag("!--no-prefill", options_.prefill, "get, range: the keys are there already.");
    c.add_option("--range-keys", options_.range_keys, "range: keys in each answer.")
        ->capture_default_str();
    c.add_flag("--serializable", options_.serializable, "get, range: read without a quorum.");
    c.add_option("--watchers", options_.watchers, "watch: how many.")->capture_default_str();
    c.add_option("--watch-streams", options_.watch_streams,
                 "watch: streams that the watchers are dealt out to (0: one a connection).")
        ->capture_default_str();
    c.add_option("--method", options_.method, "empty, idle: the gRPC method to call.")
        ->capture_default_str();
    c.add_option("--server-pid", options_.server_pid,
                 "Report CPU and memory of this process, a server on this machine.");
    c.add_option("--seed", options_.seed, "Seed of keys and values.")->capture_default_str();
    c.add_flag("--json", options_.json, "Print one line of JSON.");
}

bool Command::chosen() const {
    return command_->parsed();
}

int Command::run(std::ostream& out, std::ostream& err) {
    const auto ns = [](double seconds) { return static_cast<TimeNs>(seconds * 1e9); };
    raise_descriptor_limit();
    if (workload_ == "idle") return run_idle(out, err);
    options_.workload = parse_workload(workload_).value_or(WorkloadKind::kPut);
    options_.key_order = parse_key_order(key_order_).value_or(KeyOrder::kUniform);
    options_.duration_ns = ns(duration_s_);
    options_.warmup_ns = ns(warmup_s_);
    options_.call_timeout_ns = ns(timeout_s_);
    if (const Status status = check_options(options_); !status) {
        err << "sluice bench: " << status.error().message() << "\n";
        return 2;
    }
    const SystemClock clock;
    const auto report = bench::run(options_, clock);
    if (!report) {
        err << "sluice bench: " << report.error().message() << "\n";
        return 1;
    }
    out << (options_.json ? report_json(options_, *report) : report_text(options_, *report));
    return report->errors == 0 && report->calls > 0 ? 0 : 1;
}

int Command::run_idle(std::ostream& out, std::ostream& err) {
    const IdleOptions idle{.endpoint = options_.endpoint,
                           .connections = options_.connections,
                           .method = options_.method,
                           .server_pid = options_.server_pid};
    const SystemClock clock;
    const auto report = bench::run_idle(idle, clock);
    if (!report) {
        err << "sluice bench: " << report.error().message() << "\n";
        return report.error().code() == Code::kInvalidArgument ? 2 : 1;
    }
    out << (options_.json ? idle_json(idle, *report) : idle_text(idle, *report));
    return 0;
}

}  // namespace sluice::bench
