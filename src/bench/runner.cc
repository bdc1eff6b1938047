#include "bench/runner.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "base/check.h"
#include "base/limits.h"
#include "base/tick_clock.h"
#include "bench/call_headers.h"
#include "bench/loop.h"
#include "bench/process_usage.h"
#include "bench/unary_client.h"
#include "bench/watch.h"
#include "bench/workload.h"

namespace sluice::bench {
namespace {

TimeNs thread_cpu_ns(std::thread& thread) {
    clockid_t clock{};
    timespec used{};
    if (pthread_getcpuclockid(thread.native_handle(), &clock) != 0) return 0;
    if (clock_gettime(clock, &used) != 0) return 0;
    return used.tv_sec * kSecond + used.tv_nsec;
}

// Threads that run loops; stopped and joined at the end, whatever happens.
class LoopThreads {
  public:
    LoopThreads(RunState& state, std::vector<std::unique_ptr<Loop>>& loops)
        : state_(state), loops_(loops) {
        for (auto& loop : loops_) threads_.emplace_back([each = loop.get()] { each->run(); });
    }
    ~LoopThreads() { stop(); }
    LoopThreads(const LoopThreads&) = delete;
    LoopThreads& operator=(const LoopThreads&) = delete;

    void wake() {
        for (auto& loop : loops_) loop->wake();
    }
    TimeNs cpu_ns() {
        TimeNs total = 0;
        for (auto& thread : threads_) total += thread_cpu_ns(thread);
        return total;
    }
    void stop() {
        state_.set_phase(Phase::kStop);
        wake();
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }

  private:
    RunState& state_;
    std::vector<std::unique_ptr<Loop>>& loops_;
    std::vector<std::thread> threads_;
};

// One pass over the server: loops, connections, clients, a report.
class Pass {
  public:
    Pass(const Options& options, const Clock& clock, const TickClock& ticks, bool is_prefill)
        : options_(options),
          clock_(clock),
          ticks_(ticks),
          is_prefill_(is_prefill),
          state_(is_prefill ? options.keys : options.total) {
        const std::string_view put = "/etcdserverpb.KV/Put";
        headers_ =
            make_call_headers(shared_, options.endpoint, is_prefill ? put : method_of(options));
        if (is_watch())
            watch_headers_ =
                make_call_headers(shared_, options.endpoint, "/etcdserverpb.Watch/Watch");
        config_.shared_fields = &shared_;
    }

    Result<Report> run() {
        SLUICE_TRY(connect());
        if (is_prefill_) state_.set_phase(Phase::kMeasure);
        LoopThreads threads(state_, loops_);
        const auto loops = static_cast<unsigned>(loops_.size());
        if (!state_.wait_ready(loops, limits::kBenchSetupNs)) return failure("setting up");
        threads.wake();  // the watch workload's writers start now
        if (!is_prefill_ && options_.warmup_ns > 0) {
            if (!state_.wait_finished(loops + 1, options_.warmup_ns)) return failure("warming up");
        }
        Report report;
        SLUICE_TRY(measure(threads, report));
        threads.stop();
        if (!state_.failure().empty()) return failure("the run");
        for (auto& loop : loops_) {
            report.calls += loop->stats().calls;
            report.errors += loop->stats().errors;
            report.latency.merge(loop->stats().latency);
            if (report.first_error.empty()) report.first_error = loop->stats().first_error;
        }
        return report;
    }

  private:
    bool is_watch() const { return options_.workload == WorkloadKind::kWatch && !is_prefill_; }

    Status connect() {
        std::vector<Connection*> connections;
        for (unsigned i = 0; i < options_.threads; ++i)
            loops_.push_back(std::make_unique<Loop>(config_, clock_, ticks_, state_));
        for (unsigned i = 0; i < options_.connections; ++i) {
            Loop& loop = *loops_[i % loops_.size()];
            SLUICE_TRY_ASSIGN(Connection* const connection, loop.add_connection(options_.endpoint));
            connections.push_back(connection);
        }
        if (is_watch()) {
            Loop& loop = *loops_.front();
            watch_ =
                std::make_unique<WatchRun>(options_, loop, connections, headers_, watch_headers_);
            loop.on_wake([this, started = false]() mutable {
                if (!std::exchange(started, true)) watch_->start_writers();
            });
            return {};
        }
        std::vector<std::vector<UnaryClient*>> by_connection(connections.size());
        for (unsigned i = 0; i < options_.clients; ++i) {
            const std::size_t c = i % connections.size();
            auto workload =
                is_prefill_ ? make_prefill(options_, i, next_key_) : make_workload(options_, i);
            clients_.push_back(
                std::make_unique<UnaryClient>(*loops_[c % loops_.size()], *connections[c], headers_,
                                              std::move(workload), options_.call_timeout_ns));
            by_connection[c].push_back(clients_.back().get());
        }
        for (std::size_t c = 0; c < connections.size(); ++c) {
            Loop& loop = *loops_[c % loops_.size()];
            loop.expect(1);
            connections[c]->on_usable = [&loop, clients = by_connection[c]] {
                loop.arrived();
                for (UnaryClient* client : clients) client->start();
            };
        }
        return {};
    }

    Status measure(LoopThreads& threads, Report& report) {
        ProcessUsage before;
        if (options_.server_pid != 0) {
            SLUICE_TRY_ASSIGN(before, read_process_usage(options_.server_pid));
        }
        const TimeNs started_ns = clock_.now_ns();
        const TimeNs cpu_before_ns = threads.cpu_ns();
        state_.set_phase(Phase::kMeasure);
        const bool limited = is_prefill_ || options_.total > 0;
        const TimeNs time_ns = limited ? limits::kBenchTotalNs : options_.duration_ns;
        state_.wait_finished(static_cast<unsigned>(loops_.size()), time_ns);
        state_.set_phase(Phase::kStop);
        report.elapsed_ns = clock_.now_ns() - started_ns;
        report.loader_cpu_ns = threads.cpu_ns() - cpu_before_ns;
        if (options_.server_pid != 0) {
            SLUICE_TRY_ASSIGN(const ProcessUsage after, read_process_usage(options_.server_pid));
            report.server_cpu_ns = after.cpu_ns - before.cpu_ns;
            report.server_rss_bytes = after.rss_bytes;
            report.server_rss_peak_bytes = after.rss_peak_bytes;
        }
        return {};
    }

    std::unexpected<Error> failure(std::string_view during) {
        const std::string why = state_.failure();
        return fail(Code::kUnavailable,
                    fmt::format("{}: {}", during, why.empty() ? "no answer in time" : why));
    }

    const Options& options_;
    const Clock& clock_;
    const TickClock& ticks_;
    const bool is_prefill_;
    RunState state_;
    http2::SharedFields shared_;
    http2::SessionConfig config_;
    CallHeaders headers_;
    CallHeaders watch_headers_;
    std::atomic<std::uint64_t> next_key_{0};
    std::vector<std::unique_ptr<UnaryClient>> clients_;  // outlive the connections of the loops
    std::unique_ptr<WatchRun> watch_;
    std::vector<std::unique_ptr<Loop>> loops_;
};

Options prefill_options(const Options& options) {
    Options result = options;
    result.clients = static_cast<unsigned>(std::min<std::uint64_t>(options.keys, 256));
    result.connections = std::min(options.connections, result.clients);
    return result;
}

}  // namespace

Status check_options(const Options& o) {
    const auto refuse = [](std::string what) {
        return fail(Code::kInvalidArgument, std::move(what));
    };
    if (o.threads < 1 || o.threads > limits::kBenchThreadsMax)
        return refuse(fmt::format("--threads must be 1 to {}", limits::kBenchThreadsMax));
    if (o.connections < o.threads || o.connections > limits::kBenchConnectionsMax)
        return refuse(fmt::format("--connections must be at least --threads and at most {}",
                                  limits::kBenchConnectionsMax));
    if (o.clients < 1 || o.clients > limits::kBenchClientsMax)
        return refuse(fmt::format("--clients must be 1 to {}", limits::kBenchClientsMax));
    if (o.workload != WorkloadKind::kWatch && o.connections > o.clients)
        return refuse("--connections must not exceed --clients");
    if (o.keys < 1) return refuse("--keys must be at least 1");
    if (o.workload == WorkloadKind::kRange && (o.range_keys < 1 || o.range_keys > o.keys))
        return refuse("--range-keys must be 1 to --keys");
    if (o.workload == WorkloadKind::kWatch && o.threads != 1)
        return refuse("the watch workload runs on one thread");
    if (o.workload == WorkloadKind::kWatch && o.watchers < 1)
        return refuse("--watchers must be at least 1");
    return {};
}

Result<Report> run(Options options, const Clock& clock) {
    SLUICE_TRY(check_options(options));
    if (options.run_id == 0) options.run_id = static_cast<std::uint64_t>(clock.wall_ns());
    const TickClock ticks(clock);
    const bool reads =
        options.workload == WorkloadKind::kGet || options.workload == WorkloadKind::kRange;
    if (options.prefill && reads) {
        const Options filling = prefill_options(options);
        Pass prefill(filling, clock, ticks, true);
        SLUICE_TRY_ASSIGN(const Report report, prefill.run());
        if (report.errors > 0)
            return fail(Code::kInternal, "filling the keys: " + report.first_error);
    }
    Pass pass(options, clock, ticks, false);
    return pass.run();
}

}  // namespace sluice::bench
