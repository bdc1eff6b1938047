// Appending groups to the log on the machine's disk, and the floor under it: one write and one
// fdatasync of as many blocks to a file whose blocks are all written. Works in a directory under
// the working directory:
//   cd /path/on/the/disk && build/release/src/storage/wal/wal_bench
// p50_us: of one group; cpu_us: the thread's CPU time a group.
#include <benchmark/benchmark.h>

#include <array>
#include <ctime>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/temporary_dir_testing.h"
#include "io/posix_file_system.h"
#include "storage/wal/wal.h"

namespace sluice::storage {
namespace {

double thread_cpu_us() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// What the machine itself needs for a group of this size, in blocks that are all written.
class Floor {
  public:
    Floor(io::FileSystem& fs, const std::string& path, std::size_t bytes)
        : file_(*fs.open(path, io::OpenMode::kCreateNew)), bytes_(bytes, std::byte{'x'}) {
        const std::vector<std::byte> zeros(kFileBytes);
        good_ = file_->pwrite(zeros, 0).has_value() && file_->fdatasync().has_value();
    }
    bool write() {
        if (offset_ + bytes_.size() > kFileBytes) offset_ = 0;
        good_ = good_ && file_->pwrite(bytes_, offset_) && file_->fdatasync();
        offset_ += bytes_.size();
        return good_;
    }

  private:
    static constexpr std::size_t kFileBytes = 64 << 20;
    const std::unique_ptr<io::File> file_;
    const std::vector<std::byte> bytes_;
    std::uint64_t offset_ = 0;
    bool good_ = false;
};

// Time and the thread's CPU time of what stands between start() and stop().
class Meter {
  public:
    void start() {
        cpu_start_ = thread_cpu_us();
        start_ = clock_.now_ns();
    }
    void stop() {
        took_.record(static_cast<std::uint64_t>(clock_.now_ns() - start_));
        cpu_us_ += thread_cpu_us() - cpu_start_;
    }
    double p50_us() const { return static_cast<double>(took_.percentile(50)) / 1e3; }
    double cpu_us() const { return cpu_us_ / static_cast<double>(took_.count()); }

  private:
    const SystemClock clock_;
    HdrHistogram took_;
    TimeNs start_ = 0;
    double cpu_start_ = 0;
    double cpu_us_ = 0;
};

// Released as a store would, so that the log does not fill the disk.
Status release_now_and_then(Wal& wal) {
    const std::uint64_t index = wal.last_index();
    if (index < wal.snapshot().index + 65536) return {};
    const SnapshotMark mark{.index = index, .term = 1};
    SLUICE_TRY(wal.write({.snapshot = &mark}));
    SLUICE_TRY(wal.sync());
    return wal.release_prefix(index);
}

// range(0): entries a group, 256 bytes each. Group and floor take turns, so that both see the same
// disk.
void BM_AppendAndSync(benchmark::State& state) {
    const auto fs = io::make_posix_file_system();
    const TemporaryDir dir(".");
    auto wal = Wal::open(*fs, {.dir = dir.path()});
    if (!wal) return state.SkipWithError(wal.error().message().c_str());
    const std::string payload(256, 'x');
    std::vector<LogEntry> entries(static_cast<std::size_t>(state.range(0)));
    Floor floor(*fs, dir.path() + "/floor", (entries.size() * (256 + 48) + 4095) / 4096 * 4096);
    Meter group;
    Meter machine;
    std::uint64_t index = 0;
    for (auto _ : state) {
        machine.start();
        if (!floor.write()) state.SkipWithError("floor");
        machine.stop();
        group.start();
        for (LogEntry& entry : entries) entry = {.term = 1, .index = ++index, .body = payload};
        if (!(*wal)->write({.entries = entries}) || !(*wal)->sync()) state.SkipWithError("write");
        group.stop();
        if (!release_now_and_then(**wal)) state.SkipWithError("release");
    }
    state.counters["p50_us"] = group.p50_us();
    state.counters["floor_p50_us"] = machine.p50_us();
    state.counters["cpu_us"] = group.cpu_us();
    state.counters["floor_cpu_us"] = machine.cpu_us();
}
// A start on an empty directory: part of the server's cold start.
void BM_OpenNew(benchmark::State& state) {
    const auto fs = io::make_posix_file_system();
    for (auto _ : state) {
        state.PauseTiming();
        {
            const TemporaryDir dir(".");
            state.ResumeTiming();
            auto wal = Wal::open(*fs, {.dir = dir.path()});
            if (!wal) state.SkipWithError(wal.error().message().c_str());
            state.PauseTiming();
        }
        state.ResumeTiming();
    }
}
BENCHMARK(BM_OpenNew)->UseRealTime()->Unit(benchmark::kMillisecond);

BENCHMARK(BM_AppendAndSync)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace sluice::storage
