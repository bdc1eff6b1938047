// What the store costs: microseconds of CPU an operation, of the calling thread (fg_us) and of the
// whole process with flushes and compactions (all_us), and the process's resident memory.
//
//   build/release/src/storage/mvcc/mvcc_bench
//
// Keys are 40 bytes with a common prefix; values 256 bytes, half of them compressible.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/check.h"
#include "storage/mvcc/applier.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

double cpu_us(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double resident_mb() {
    std::ifstream in("/proc/self/statm");
    double all = 0;
    double resident = 0;
    in >> all >> resident;
    return resident * 4096 / (1 << 20);
}

// Counts CPU between its construction and report().
class CpuMeter {
  public:
    void report(benchmark::State& state, double ops) const {
        state.counters["fg_us"] = (cpu_us(CLOCK_THREAD_CPUTIME_ID) - thread_) / ops;
        state.counters["all_us"] = (cpu_us(CLOCK_PROCESS_CPUTIME_ID) - process_) / ops;
        state.counters["rss_mb"] = resident_mb();
    }

  private:
    double thread_ = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    double process_ = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
};

std::string bench_key(std::uint64_t i) {
    return fmt::format("/registry/pods/ns{:04}/pod-{:016x}", i % 1000, i * 0x9E3779B97F4A7C15u);
}

class Bench {
  public:
    explicit Bench(std::size_t memory = 256u << 20)
        : dir_((std::filesystem::temp_directory_path() / "sluice-mvcc-bench").string()) {
        std::filesystem::remove_all(dir_);
        auto opened = MvccStore::open({.dir = dir_, .memory_limit_bytes = memory});
        SLUICE_CHECK(opened.has_value());
        store = std::move(*opened);
        applier = std::make_unique<Applier>(*store);
        std::mt19937_64 bytes(7);
        pool_.resize(1u << 20);
        for (std::size_t i = 0; i < pool_.size(); ++i) {
            pool_[i] = (i / 16) % 2 == 0 ? static_cast<char>(bytes()) : 'x';
        }
    }
    ~Bench() {
        applier.reset();
        store.reset();
        std::filesystem::remove_all(dir_);
    }
    std::string_view value(std::size_t bytes = 256) {
        return std::string_view(pool_).substr(random() % (pool_.size() - bytes), bytes);
    }
    void put(std::string_view key, std::string_view bytes) {
        applier->begin_txn(false);
        SLUICE_CHECK(applier->put(key, bytes, 0).has_value());
        applier->end_txn(nullptr);
    }
    void commit() { SLUICE_CHECK(applier->commit(++index_, 1).has_value()); }
    void load(std::uint64_t keys) {
        for (std::uint64_t i = 0; i < keys; ++i) {
            put(bench_key(i), value());
            if (i % 64 == 63) commit();
        }
        commit();
    }

    std::unique_ptr<MvccStore> store;
    std::unique_ptr<Applier> applier;
    std::mt19937_64 random{1};

  private:
    std::string dir_;
    std::string pool_;
    std::uint64_t index_ = 0;
};

void BM_PutNew(benchmark::State& state) {
    Bench bench;
    const auto batch = static_cast<std::uint64_t>(state.range(0));
    std::uint64_t n = 0;
    const CpuMeter meter;
    for (auto _ : state) {
        bench.put(bench_key(n), bench.value());
        if (++n % batch == 0) bench.commit();
    }
    bench.commit();
    meter.report(state, static_cast<double>(n));
}
BENCHMARK(BM_PutNew)->Arg(1)->Arg(64)->Iterations(500'000)->Unit(benchmark::kMicrosecond);

// range(0): puts a commit; range(1): keys that are overwritten, of 500,000.
void BM_Overwrite(benchmark::State& state) {
    Bench bench;
    bench.load(500'000);
    const auto batch = static_cast<std::uint64_t>(state.range(0));
    const auto keys = static_cast<std::uint64_t>(state.range(1));
    std::uint64_t n = 0;
    const CpuMeter meter;
    for (auto _ : state) {
        bench.put(bench_key(bench.random() % keys), bench.value());
        if (++n % batch == 0) bench.commit();
    }
    bench.commit();
    meter.report(state, static_cast<double>(n));
}
BENCHMARK(BM_Overwrite)
    ->ArgsProduct({{1, 64}, {100, 10'000, 500'000}})
    ->Iterations(500'000)
    ->Unit(benchmark::kMicrosecond);

void BM_CommitNothing(benchmark::State& state) {
    Bench bench;
    const CpuMeter meter;
    for (auto _ : state) bench.commit();
    meter.report(state, static_cast<double>(state.iterations()));
}
BENCHMARK(BM_CommitNothing)->Unit(benchmark::kMicrosecond);

class SizeSink final : public KvSink {
  public:
    void on_kv(const KvView& kv) override { bytes += kv.key.size() + kv.value.size(); }
    std::size_t bytes = 0;
};

void BM_Get(benchmark::State& state) {
    Bench bench;
    bench.load(500'000);
    SLUICE_CHECK(bench.store->compact_range().has_value());
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    SizeSink sink;
    const CpuMeter meter;
    for (auto _ : state) {
        const auto step =
            bench.store->get(bench_key(bench.random() % keys), 0, ReadTier::kAny, sink);
        SLUICE_CHECK(step.has_value() && *step == ReadStep::kDone);
    }
    meter.report(state, static_cast<double>(state.iterations()));
}
BENCHMARK(BM_Get)->Arg(1000)->Arg(500'000)->Iterations(500'000)->Unit(benchmark::kMicrosecond);

// range(0): pairs wanted; range(1): 1 counts only.
void BM_Range(benchmark::State& state) {
    Bench bench;
    bench.load(100'000);
    SLUICE_CHECK(bench.store->compact_range().has_value());
    SizeSink sink;
    std::int64_t seen = 0;
    const CpuMeter meter;
    for (auto _ : state) {
        const std::string begin = bench_key(bench.random() % 100'000);
        RangeCursor cursor(
            *bench.store,
            {.key = begin, .range_end = {"\0", 1}, .count_only = state.range(1) == 1});
        const auto step = cursor.next(ReadTier::kAny, {.keys_max = state.range(0)}, sink);
        SLUICE_CHECK(step.has_value());
        seen += cursor.count();
    }
    meter.report(state, static_cast<double>(state.iterations()));
    state.counters["keys"] = static_cast<double>(seen) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Range)
    ->Args({1, 0})
    ->Args({100, 0})
    ->Args({10'000, 0})
    ->Args({10'000, 1})
    ->Unit(benchmark::kMicrosecond);

// A get at a revision about range(0) versions of the key ago.
void BM_GetOld(benchmark::State& state) {
    Bench bench;
    constexpr std::uint64_t kKeys = 1000;
    bench.load(kKeys);
    for (std::uint64_t i = 0; i < kKeys * 100; ++i) {
        bench.put(bench_key(i % kKeys), bench.value());
        if (i % 64 == 63) bench.commit();
    }
    bench.commit();
    SLUICE_CHECK(bench.store->flush().has_value());
    const auto back = static_cast<Revision>(kKeys) * state.range(0);
    SizeSink sink;
    const CpuMeter meter;
    for (auto _ : state) {
        const auto step =
            bench.store->get(bench_key(bench.random() % kKeys),
                             bench.store->current_revision() - back, ReadTier::kAny, sink);
        SLUICE_CHECK(step.has_value() && *step == ReadStep::kDone);
    }
    meter.report(state, static_cast<double>(state.iterations()));
}
BENCHMARK(BM_GetOld)->Arg(1)->Arg(50)->Arg(90)->Unit(benchmark::kMicrosecond);

// Reading all events of range(0) keys overwritten in turn, a slice at a time; per event.
void BM_History(benchmark::State& state) {
    Bench bench;
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    for (std::uint64_t i = 0; i < 200'000; ++i) {
        bench.put(bench_key(i % keys), bench.value());
        if (i % 64 == 63) bench.commit();
    }
    bench.commit();
    std::size_t events = 0;
    const CpuMeter meter;
    for (auto _ : state) {
        HistoryQuery query{.from = 2};
        for (;;) {
            std::vector<EventBatch> out;
            const auto got = bench.store->read_history(query, ReadTier::kAny, out);
            SLUICE_CHECK(got.has_value());
            events += out.size();
            query.from = got->next;
            if (got->step == ReadStep::kDone) break;
        }
    }
    SLUICE_CHECK(events == 200'000 * static_cast<std::size_t>(state.iterations()));
    meter.report(state, static_cast<double>(events));
}
BENCHMARK(BM_History)->Arg(100)->Arg(10'000)->Iterations(1)->Unit(benchmark::kMillisecond);

// Opening an empty folder, and closing.
void BM_OpenEmpty(benchmark::State& state) {
    const auto dir = (std::filesystem::temp_directory_path() / "sluice-mvcc-bench-open").string();
    for (auto _ : state) {
        std::filesystem::remove_all(dir);
        auto store = MvccStore::open({.dir = dir});
        SLUICE_CHECK(store.has_value());
        state.PauseTiming();
        store->reset();
        state.ResumeTiming();
    }
    std::filesystem::remove_all(dir);
}
BENCHMARK(BM_OpenEmpty)->Iterations(10)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace sluice::storage
