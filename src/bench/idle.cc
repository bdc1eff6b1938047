#include "bench/idle.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "bench/call_headers.h"
#include "bench/connection.h"

namespace sluice::bench {
namespace {

// One unary call; knows how it ended.
class OneCall final : public Call {
  public:
    bool done() const noexcept { return done_; }
    Status status() const {
        if (grpc_status_ == 0 && messages_ == 1) return {};
        return fail(Code::kUnavailable,
                    fmt::format("the call ended with grpc-status {} {}, {} messages", grpc_status_,
                                text_, messages_));
    }

  private:
    void on_message(std::string_view) override { ++messages_; }
    void on_done(int grpc_status, std::string_view message) override {
        grpc_status_ = grpc_status;
        text_ = message;
        done_ = true;
    }

    unsigned messages_ = 0;
    int grpc_status_ = 0;
    std::string text_;
    bool done_ = false;
};

class IdleRun {
  public:
    IdleRun(const IdleOptions& options, const Clock& clock)
        : options_(options),
          clock_(clock),
          memory_(limits::kBenchReceiveBytes),
          headers_(make_call_headers(shared_, options.endpoint, options.method)) {
        config_.shared_fields = &shared_;
    }

    Result<IdleReport> run() {
        IdleReport report;
        report.connections = options_.connections;
        SLUICE_TRY_ASSIGN(report.before, settled_memory());
        SLUICE_TRY(open(options_.connections / 2));
        SLUICE_TRY_ASSIGN(report.half, settled_memory());
        SLUICE_TRY(open(options_.connections - options_.connections / 2));
        SLUICE_TRY_ASSIGN(report.all, settled_memory());
        for (const auto& connection : connections_) SLUICE_TRY(call(*connection));
        return report;
    }

  private:
    Status open(unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            auto& connection =
                *connections_.emplace_back(std::make_unique<Connection>(config_, memory_));
            connection.on_broken = [this](const std::string& why) { broken_ = why; };
            SLUICE_TRY(connection.open(options_.endpoint, clock_.now_ns()));
            SLUICE_TRY(call(connection));
        }
        return {};
    }

    // One call, from request to answer: the server is never asked two things at once.
    Status call(Connection& connection) {
        OneCall call;
        if (!connection.start(call, headers_, {}, true))
            return fail(Code::kUnavailable, "the server allows no stream");
        const TimeNs give_up_ns = clock_.now_ns() + limits::kBenchDrainNs;
        while (true) {
            flush();
            if (!broken_.empty()) return fail(Code::kUnavailable, broken_);
            if (call.done()) return call.status();
            const TimeNs left_ns = give_up_ns - clock_.now_ns();
            if (left_ns <= 0) return fail(Code::kDeadlineExceeded, "no answer in time");
            pollfd ready{.fd = connection.fd(), .events = POLLIN, .revents = 0};
            ::poll(&ready, 1, static_cast<int>(left_ns / kMillisecond + 1));
            if (ready.revents != 0) connection.on_ready(clock_.now_ns());
        }
    }

    void flush() {
        for (Connection* connection : memory_.unflushed) connection->flush(clock_.now_ns());
        memory_.unflushed.clear();
    }

    // The server's memory once it stands still to half a percent for quiet_ns; servers that give
    // memory back later than limits::kBenchSetupNs are read as they are then.
    Result<ProcessMemory> settled_memory() {
        const TimeNs give_up_ns = clock_.now_ns() + limits::kBenchSetupNs;
        SLUICE_TRY_ASSIGN(ProcessMemory reference, read_process_memory(options_.server_pid));
        TimeNs since_ns = clock_.now_ns();
        while (true) {
            std::this_thread::sleep_for(std::chrono::nanoseconds(limits::kBenchSampleNs));
            SLUICE_TRY_ASSIGN(const ProcessMemory now, read_process_memory(options_.server_pid));
            const auto [low, high] = std::minmax(now.rss_bytes, reference.rss_bytes);
            const TimeNs now_ns = clock_.now_ns();
            if (high - low > reference.rss_bytes / 200) {
                reference = now;
                since_ns = now_ns;
            }
            if (now_ns - since_ns >= options_.quiet_ns || now_ns >= give_up_ns) return now;
        }
    }

    const IdleOptions& options_;
    const Clock& clock_;
    LoopMemory memory_;
    http2::SharedFields shared_;
    const CallHeaders headers_;
    http2::SessionConfig config_;
    std::string broken_;
    std::vector<std::unique_ptr<Connection>> connections_;
};

double growth(const ProcessMemory& from, const ProcessMemory& to, unsigned connections) {
    if (connections == 0) return 0;
    const double grown = static_cast<double>(to.rss_bytes) - static_cast<double>(from.rss_bytes);
    return grown / connections;
}

double megabytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1e6;
}

}  // namespace

double IdleReport::bytes_each() const noexcept {
    return growth(before, all, connections);
}

double IdleReport::bytes_each_further() const noexcept {
    return growth(half, all, connections - connections / 2);
}

Result<IdleReport> run_idle(const IdleOptions& options, const Clock& clock) {
    if (options.server_pid == 0)
        return fail(Code::kInvalidArgument, "idle: --server-pid says whose memory to read");
    if (options.connections < 2 || options.connections > limits::kBenchConnectionsMax)
        return fail(Code::kInvalidArgument,
                    fmt::format("--connections must be 2 to {}", limits::kBenchConnectionsMax));
    return IdleRun(options, clock).run();
}

std::string idle_text(const IdleOptions& options, const IdleReport& r) {
    return fmt::format(
        "idle: {} connections, each after one {}\n"
        "  server    RSS {:.1f} MB, {:.1f} with half of them, {:.1f} with all (PSS {:.1f}, "
        "anonymous {:.1f})\n"
        "  each      {:.0f} B; of the second half {:.0f} B\n",
        r.connections, options.method, megabytes(r.before.rss_bytes), megabytes(r.half.rss_bytes),
        megabytes(r.all.rss_bytes), megabytes(r.all.pss_bytes), megabytes(r.all.anonymous_bytes),
        r.bytes_each(), r.bytes_each_further());
}

std::string idle_json(const IdleOptions&, const IdleReport& r) {
    return fmt::format(
        R"({{"workload":"idle","connections":{},"rss_before_bytes":{},"rss_half_bytes":{},)"
        R"("rss_all_bytes":{},"pss_all_bytes":{},"bytes_each":{:.1f},"bytes_each_further":{:.1f}}})"
        "\n",
        r.connections, r.before.rss_bytes, r.half.rss_bytes, r.all.rss_bytes, r.all.pss_bytes,
        r.bytes_each(), r.bytes_each_further());
}

}  // namespace sluice::bench
