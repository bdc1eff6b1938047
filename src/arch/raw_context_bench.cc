// One way of a switch between two contexts, in a tight loop.
#include <benchmark/benchmark.h>

#include <memory>

#include "arch/raw_context.h"

namespace sluice::arch {
namespace {

using Switch = void* (*)(RawContext*, RawContext, void*) noexcept;

struct Pair {
    RawContext main = nullptr;
    RawContext fiber = nullptr;
};

template <Switch kSwitch>
void bounce(void* argument) {
    auto* pair = static_cast<Pair*>(argument);
    for (;;) kSwitch(&pair->fiber, pair->main, nullptr);
}

template <Switch kSwitch, auto kMake>
void one_way_switch(benchmark::State& state) {
    constexpr std::size_t kStackBytes = 64 * 1024;
    auto stack = std::make_unique<std::byte[]>(kStackBytes);
    const auto end = reinterpret_cast<std::uintptr_t>(stack.get()) + kStackBytes;
    Pair pair;
    pair.fiber = kMake(reinterpret_cast<void*>(end & ~std::uintptr_t{15}), &bounce<kSwitch>);
    for (auto _ : state) kSwitch(&pair.main, pair.fiber, &pair);
    state.counters["one_way"] =
        benchmark::Counter(2.0 * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(one_way_switch<&own::switch_context, &own::make_context>)->Name("switch/own");
#ifdef SLUICE_HAVE_FCONTEXT
BENCHMARK(one_way_switch<&fcontext::switch_context, &fcontext::make_context>)
    ->Name("switch/fcontext");
#endif

}  // namespace
}  // namespace sluice::arch
