// What hashing a key costs: the figure in key_hash.h (build/release/src/base/base_bench).
#include <benchmark/benchmark.h>

#include <string>

#include "base/key_hash.h"

namespace sluice {
namespace {

void BM_KeyHash(benchmark::State& state) {
    const std::string key(static_cast<std::size_t>(state.range(0)), 'k');
    for (auto _ : state) benchmark::DoNotOptimize(hash_key(key));
}
BENCHMARK(BM_KeyHash)->Arg(16)->Arg(64)->Arg(256);

void BM_StandardHash(benchmark::State& state) {
    const std::string key(static_cast<std::size_t>(state.range(0)), 'k');
    for (auto _ : state) benchmark::DoNotOptimize(std::hash<std::string_view>{}(key));
}
BENCHMARK(BM_StandardHash)->Arg(16)->Arg(64)->Arg(256);

}  // namespace
}  // namespace sluice
