// R6: reading 10,000 small files with a fiber each, against a WorkerPool. `fibers` is how many were
// started for it, `threads` how many threads the reads have used.
//   build/release/src/io/io_bench --benchmark_filter=SmallFiles
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_dir_testing.h"
#include "io/posix_file_system.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "sync/group.h"
#include "sync/worker_pool.h"

namespace sluice::io {
namespace {

constexpr int kFiles = 10'000;
constexpr std::size_t kFileBytes = 1'024;

FileSystem& file_system() {
    static const std::unique_ptr<FileSystem> machine = make_posix_file_system();
    return *machine;
}

// The files exist once for all benchmarks of the process.
const std::vector<std::string>& files() {
    static const TemporaryDir dir;
    static const std::vector<std::string> paths = [] {
        std::vector<std::string> made;
        const std::vector<std::byte> content(kFileBytes);
        for (int i = 0; i < kFiles; ++i) {
            made.push_back(dir.path() + "/" + std::to_string(i));
            auto file = file_system().open(made.back(), OpenMode::kCreateNew);
            if (!file || !(*file)->pwrite(content, 0)) std::abort();
        }
        return made;
    }();
    return paths;
}

// What a job does: open, read, close. The calling thread blocks.
std::size_t read_file(const std::string& path) {
    std::array<std::byte, 4'096> buffer;
    auto file = file_system().open(path, OpenMode::kRead);
    if (!file) return 0;
    return (*file)->pread(buffer, 0).value_or(0);
}

template <class ReadAll>
void run(benchmark::State& state, ReadAll read_all) {
    const auto& paths = files();
    rt::Runtime runtime({.workers = 2});
    std::uint64_t fibers = 0;
    for (auto _ : state) {
        std::atomic<std::uint64_t> bytes{0};
        const std::uint64_t before = runtime.stats().fibers_started;
        runtime.run([&] { read_all(paths, bytes); });
        fibers = runtime.stats().fibers_started - before - 1;
        if (bytes.load() != kFiles * kFileBytes) state.SkipWithError("not all was read");
    }
    state.counters["fibers"] = static_cast<double>(fibers);
    state.counters["threads"] = runtime.blocking_pool().stats().threads_most;
}

void BM_SmallFilesFiberEach(benchmark::State& state) {
    run(state, [](const auto& paths, std::atomic<std::uint64_t>& bytes) {
        sync::Group group(nullptr);
        for (const std::string& path : paths) {
            group.spawn([&] { bytes += rt::blocking([&] { return read_file(path); }); });
        }
        (void)group.wait();
    });
}
BENCHMARK(BM_SmallFilesFiberEach)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

// The same where open and read are handed over one by one, as file interfaces for tasks do.
void BM_SmallFilesFiberEachCall(benchmark::State& state) {
    run(state, [](const auto& paths, std::atomic<std::uint64_t>& bytes) {
        sync::Group group(nullptr);
        for (const std::string& path : paths) {
            group.spawn([&] {
                std::array<std::byte, 4'096> buffer;
                auto file = rt::blocking([&] { return file_system().open(path, OpenMode::kRead); });
                if (!file) return;
                bytes += rt::blocking([&] { return (*file)->pread(buffer, 0); }).value_or(0);
                rt::blocking([&] { file->reset(); });
            });
        }
        (void)group.wait();
    });
}
BENCHMARK(BM_SmallFilesFiberEachCall)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

// Arguments: workers, and files in one hand-over to a blocking thread.
void BM_SmallFilesPool(benchmark::State& state) {
    run(state, [&](const auto& paths, std::atomic<std::uint64_t>& bytes) {
        sync::WorkerPool pool(nullptr, {.workers = static_cast<unsigned>(state.range(0)),
                                        .queue = 512,
                                        .blocking_batch = static_cast<unsigned>(state.range(1))});
        for (const std::string& path : paths) {
            (void)pool.submit([&](const sync::Context&) { bytes += read_file(path); });
        }
        (void)pool.drain();
    });
}
BENCHMARK(BM_SmallFilesPool)
    ->Args({4, 1})
    ->Args({4, 64})
    ->Args({2, 64})
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::io
