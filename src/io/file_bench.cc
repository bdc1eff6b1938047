// Reads of 4 KiB at random places of a file, 1, 32 and 128 under way at a time, in three ways:
// AsyncFile on io_uring, AsyncFile on the blocking pool (the epoll poller), and pread() by the
// fiber itself, which blocks its worker. From the page cache (hot) and past it (direct):
//   ./dev bench micro random_read
//
// cpu_us is the CPU time of the whole process for a read, the kernel's own threads left out;
// calls the system calls for a read that the poller made.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/temporary_dir_testing.h"
#include "io/async_file.h"
#include "io/run_testing.h"
#include "io/uring_poller.h"
#include "sync/group.h"

namespace sluice::io {
namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::uint64_t kBlocks = 32'768;  // 128 MiB

double cpu_us() {
    rusage used{};
    SLUICE_CHECK(getrusage(RUSAGE_SELF, &used) == 0);
    const auto us = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
    };
    return us(used.ru_utime) + us(used.ru_stime);
}

std::uint64_t poller_calls() {
    const auto* const uring = dynamic_cast<UringPoller*>(&current_poller());
    return uring != nullptr ? uring->system_calls() : 0;
}

// One fiber's reads.
template <class Read>
void read_some(std::uint64_t seed, int reads, Read read) {
    std::unique_ptr<std::byte, decltype(&std::free)> block(
        static_cast<std::byte*>(std::aligned_alloc(kBlock, kBlock)), &std::free);
    for (int i = 0; i < reads; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const std::uint64_t at = (seed >> 33) % kBlocks * kBlock;
        SLUICE_CHECK(read(std::span(block.get(), kBlock), at) == kBlock);
    }
}

void random_read(benchmark::State& state, const char* poller, bool blocking, bool direct) {
    const int depth = static_cast<int>(state.range(0));
    constexpr int kBatch = 2048;
    const TemporaryDir dir(".");
    const bool ran = run_on(poller, 1, [&] {
        AsyncFile file = AsyncFile::open(dir.path("file"), OpenMode::kCreateNew).value();
        const std::vector<std::byte> chunk(1 << 20, std::byte{1});
        for (std::uint64_t at = 0; at < kBlocks * kBlock; at += chunk.size()) {
            SLUICE_CHECK(file.pwrite(chunk, at).has_value());
        }
        SLUICE_CHECK(file.fsync().has_value());
        file = AsyncFile::open(dir.path("file"),
                               direct ? OpenMode::kReadWriteDirect : OpenMode::kReadWrite)
                   .value();
        const std::uint64_t calls = poller_calls();
        const double before_us = cpu_us();
        std::uint64_t seed = 1;
        for (auto _ : state) {
            sync::Group group(nullptr);
            for (int f = 0; f < depth; ++f) {
                group.spawn([&, number = ++seed] {
                    read_some(number, kBatch / depth,
                              [&](std::span<std::byte> to, std::uint64_t at) {
                                  if (!blocking) return file.pread(to, at).value();
                                  return static_cast<std::size_t>(sys::pread(
                                      file.fd(), to.data(), to.size(), static_cast<off_t>(at)));
                              });
                });
            }
            SLUICE_CHECK(group.wait().has_value());
        }
        const auto reads = static_cast<double>(state.iterations() * kBatch);
        state.SetItemsProcessed(state.iterations() * kBatch);
        state.counters["cpu_us"] = (cpu_us() - before_us) / reads;
        state.counters["calls"] =
            blocking ? 1 : static_cast<double>(poller_calls() - calls) / reads;
    });
    if (!ran) state.SkipWithError("forbidden here");
}

void depths(benchmark::internal::Benchmark* bench) {
    bench->Arg(1)->Arg(32)->Arg(128)->UseRealTime()->MinTime(0.3);
}

BENCHMARK_CAPTURE(random_read, hot_io_uring, "io_uring", false, false)->Apply(depths);
BENCHMARK_CAPTURE(random_read, hot_pool, "epoll", false, false)->Apply(depths);
BENCHMARK_CAPTURE(random_read, hot_inline, "io_uring", true, false)->Apply(depths);
BENCHMARK_CAPTURE(random_read, direct_io_uring, "io_uring", false, true)->Apply(depths);
BENCHMARK_CAPTURE(random_read, direct_pool, "epoll", false, true)->Apply(depths);
BENCHMARK_CAPTURE(random_read, direct_inline, "io_uring", true, true)->Apply(depths);

}  // namespace
}  // namespace sluice::io
