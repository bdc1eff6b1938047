// What CRC-32C costs a byte: the figures in crc32c.h (build/release/src/base/base_bench).
#include <benchmark/benchmark.h>

#include <vector>

#include "base/crc32c.h"

namespace sluice {
namespace {

void BM_Crc32c(benchmark::State& state) {
    const std::vector<std::byte> data(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
    for (auto _ : state) benchmark::DoNotOptimize(crc32c::extend(0, data));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Crc32c)->Arg(64)->Arg(256)->Arg(65536);

void BM_Crc32cPortable(benchmark::State& state) {
    const std::vector<std::byte> data(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
    for (auto _ : state) benchmark::DoNotOptimize(crc32c::extend_portable(0, data));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Crc32cPortable)->Arg(65536);

}  // namespace
}  // namespace sluice
