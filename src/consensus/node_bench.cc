// From propose() to the caller's wake-up, with a state machine that does nothing: what the log
// costs in time and in CPU. In a directory under the working directory, which should be on the
// disk.
//   cd /path/on/the/disk && build/release/src/consensus/consensus_bench
// range(0) is the number of fibers that propose 256 bytes and wait, again and again. cpu_us: CPU
// time of the whole process an entry; group: entries a group; p50_us, p99_us: of one round trip;
// its parts, p50 each: to_log_us until the log writer begins with it, disk_us write and fdatasync,
// to_apply_us from there to the state machine.
#include <benchmark/benchmark.h>

#include <ctime>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/temporary_dir_testing.h"
#include "consensus/node.h"
#include "consensus/node_testing.h"
#include "consensus/raft.h"
#include "io/poller_factory.h"
#include "io/posix_file_system.h"
#include "sync/group.h"

namespace sluice::consensus {
namespace {

double process_cpu_us() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// Passes to the real disk; marks every 50,000 entries, so that the log is recycled.
class NullMachine final : public ListMachine {
  public:
    NullMachine() { keep = false; }
};

struct Latencies {
    HdrHistogram whole;
    HdrHistogram to_log;
    HdrHistogram disk;
    HdrHistogram to_apply;

    void record(const Proposal::Stamps& stamps, TimeNs took_ns, const TickClock& ticks) {
        const auto ns = [&](Ticks from, Ticks to) {
            return static_cast<std::uint64_t>(ticks.to_ns(to - from));
        };
        whole.record(static_cast<std::uint64_t>(took_ns));
        to_log.record(ns(stamps.queued, stamps.write_started));
        disk.record(ns(stamps.write_started, stamps.synced));
        to_apply.record(ns(stamps.synced, stamps.apply_started));
    }
    void merge(const Latencies& other) {
        whole.merge(other.whole);
        to_log.merge(other.to_log);
        disk.merge(other.disk);
        to_apply.merge(other.to_apply);
    }
};

void run_proposers(Node& node, int fibers, int rounds, std::vector<Latencies>& latencies,
                   const Clock& clock, const TickClock& ticks) {
    const std::string payload(256, 'x');
    sync::Group group(nullptr);
    for (int f = 0; f < fibers; ++f) {
        group.spawn([&, f] {
            for (int i = 0; i < rounds; ++i) {
                const TimeNs start = clock.now_ns();
                Call call(payload);
                if (!node.propose(&call) || !call.wait()) return;
                latencies[static_cast<std::size_t>(f)].record(call.stamps(), clock.now_ns() - start,
                                                              ticks);
            }
        });
    }
    (void)group.wait();
}

void BM_ProposeToApplied(benchmark::State& state) {
    const auto fs = io::make_posix_file_system();
    const SystemClock clock;
    const TickClock ticks(clock);
    const TemporaryDir parent(".");
    const std::string dir = parent.path("wal");
    const int fibers = static_cast<int>(state.range(0));
    const int rounds = fibers == 1 ? 2000 : 100;
    for (auto _ : state) {
        run_fibers([&] {
            NullMachine sm;
            auto node = Node::open({.wal_dir = dir,
                                    .fs = fs.get(),
                                    .ticks = &ticks,
                                    .member_id = 1,
                                    .snapshot_count = 1'000'000'000},
                                   sm);
            if (!node) return state.SkipWithError(node.error().message().c_str());
            (void)(*node)->wait_ready(kNever);
            std::vector<Latencies> latencies(static_cast<std::size_t>(fibers));
            const std::uint64_t groups = (*node)->counters().groups;
            const double cpu = process_cpu_us();
            const TimeNs start = clock.now_ns();
            run_proposers(**node, fibers, rounds, latencies, clock, ticks);
            const double seconds = static_cast<double>(clock.now_ns() - start) / 1e9;
            const double entries = static_cast<double>(fibers) * rounds;
            state.SetIterationTime(seconds);
            Latencies all;
            for (const Latencies& one : latencies) all.merge(one);
            state.counters["cpu_us"] = (process_cpu_us() - cpu) / entries;
            state.counters["group"] =
                entries / static_cast<double>((*node)->counters().groups - groups);
            state.counters["per_s"] = entries / seconds;
            const auto us = [](const HdrHistogram& of, double rank) {
                return static_cast<double>(of.percentile(rank)) / 1e3;
            };
            state.counters["p50_us"] = us(all.whole, 50);
            state.counters["p99_us"] = us(all.whole, 99);
            state.counters["to_log_us"] = us(all.to_log, 50);
            state.counters["disk_us"] = us(all.disk, 50);
            state.counters["to_apply_us"] = us(all.to_apply, 50);
            (*node)->stop();
        });
        for (const std::string& name : *fs->list(dir)) (void)fs->remove(dir + "/" + name);
    }
}
BENCHMARK(BM_ProposeToApplied)->Arg(1)->Arg(100)->Arg(1000)->Iterations(1)->UseManualTime();

// The core alone: propose, store and apply batches of range(0) entries.
void BM_RaftCore(benchmark::State& state) {
    RaftOptions options{.id = 1};
    options.configuration.voters = {1};
    auto raft = Raft::create(options);
    Ready ready;
    const auto settle = [&] {
        while ((*raft)->has_ready()) {
            (*raft)->take_ready(ready);
            (*raft)->advance(ready);
        }
    };
    (void)(*raft)->campaign();
    settle();
    std::vector<LogEntry> entries(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        (void)(*raft)->propose(entries);
        settle();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RaftCore)->Arg(1)->Arg(256);

}  // namespace
}  // namespace sluice::consensus
