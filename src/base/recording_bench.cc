// What recording costs: the figures in the headers of tick_clock, histogram, metrics, time_account
// and log come from here (build/release/src/base/base_bench).
#include <benchmark/benchmark.h>

#include "base/histogram.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/tick_clock.h"
#include "base/time_account.h"

namespace sluice {
namespace {

class NullSink final : public LogSink {
  public:
    void write(std::string_view line) override { benchmark::DoNotOptimize(line.data()); }
    void flush() override {}
};

void BM_SystemClockNow(benchmark::State& state) {
    const SystemClock clock;
    for (auto _ : state) benchmark::DoNotOptimize(clock.now_ns());
}
BENCHMARK(BM_SystemClockNow);

void BM_TickClockNow(benchmark::State& state) {
    const SystemClock clock;
    const TickClock ticks(clock);
    for (auto _ : state) benchmark::DoNotOptimize(ticks.now());
}
BENCHMARK(BM_TickClockNow);

void BM_HdrHistogramRecord(benchmark::State& state) {
    HdrHistogram histogram;
    std::uint64_t value = 1;
    for (auto _ : state) histogram.record(value = (value * 5 + 1) & 0xfffff);
}
BENCHMARK(BM_HdrHistogramRecord);

void BM_Counter(benchmark::State& state) {
    metrics::Registry registry;
    metrics::Counter& counter = registry.counter("x_total", "");
    for (auto _ : state) counter.add();
}
BENCHMARK(BM_Counter);

void BM_MetricsHistogram(benchmark::State& state) {
    metrics::Registry registry;
    auto& histogram =
        registry.histogram("x_seconds", "", metrics::exponential_bounds(0.001, 2, 14));
    double value = 0;
    for (auto _ : state) {
        value = value > 4 ? 0 : value + 0.0137;
        histogram.observe(value);
    }
}
BENCHMARK(BM_MetricsHistogram);

// One stamp: read the counter, book the difference.
void BM_TimeAccountCharge(benchmark::State& state) {
    const SystemClock clock;
    const TickClock ticks(clock);
    TimeAccount account;
    account.begin(ticks.now());
    for (auto _ : state) account.charge(Stage::kParse, ticks.now());
    benchmark::DoNotOptimize(account);
}
BENCHMARK(BM_TimeAccountCharge);

// A whole put's account: nine stages stamped and recorded.
void BM_TimeAccountWholeRequest(benchmark::State& state) {
    const SystemClock clock;
    const TickClock ticks(clock);
    StageHistograms stages(ticks, 1);
    for (auto _ : state) {
        TimeAccount account;
        account.begin(ticks.now());
        for (std::size_t i = 0; i < kStageCount; ++i)
            account.charge(static_cast<Stage>(i), ticks.now());
        stages.record(0, account);
    }
}
BENCHMARK(BM_TimeAccountWholeRequest);

void BM_LogLine(benchmark::State& state) {
    NullSink sink;
    const SystemClock clock;
    const Logger log(sink, clock, LogLevel::kInfo, LogFormat::kJson);
    for (auto _ : state) log.info("a message", {{"key", "value"}, {"number", 42}});
}
BENCHMARK(BM_LogLine);

}  // namespace
}  // namespace sluice
