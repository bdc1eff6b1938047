// ./build/release/src/io/io_bench --benchmark_filter=Buffer
#include <benchmark/benchmark.h>

#include "io/buffer_pool.h"
#include "io/poller_factory.h"
#include "io/readiness.h"
#include "rt/runtime.h"

namespace sluice::io {
namespace {

void BM_BufferOfTheWorker(benchmark::State& state) {
    rt::Runtime runtime({.workers = 1, .make_poller = *make_poller_factory("epoll")});
    runtime.run([&] {
        for (auto _ : state) {
            const Buffer buffer = borrow(ChunkSize::kSmall);
            benchmark::DoNotOptimize(buffer.data()[0] = std::byte{1});
        }
    });
}
BENCHMARK(BM_BufferOfTheWorker);

void BM_BufferOfAnother(benchmark::State& state) {
    BufferPool pool;
    for (auto _ : state) {
        const Buffer buffer = pool.borrow(ChunkSize::kSmall);
        benchmark::DoNotOptimize(buffer.data()[0] = std::byte{1});
    }
}
BENCHMARK(BM_BufferOfAnother);

}  // namespace
}  // namespace sluice::io
