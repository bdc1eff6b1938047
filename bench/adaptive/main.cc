// A load whose phases change, on a fixed number of workers or on one that follows it.
//
//   adaptive_bench WORKERS SECONDS PHASE_SECONDS FILE      WORKERS: "4", or "1-8" to let it follow
//
// Fibers make requests one after the other, for as long as the program runs. The phases take turns:
//   compute   each request hashes 64 KiB and notes the result in a table that all share
//   read      each request reads 4 KiB of FILE past the page cache, inline: its thread blocks
//   mixed     each is one or the other, at random
// Prints one JSON object: {"requests", "p50_us", "p99_us", "max_us", "cpu_percent" (of one CPU),
// "changes" (of the number of workers), and the requests of each kind of phase}.
// test/bench/adaptive.py runs it with different numbers in turn.
#include <fcntl.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/histogram.h"
#include "base/spin_lock.h"
#include "base/syscall.h"
#include "io/poller_factory.h"
#include "rt/runtime.h"
#include "sync/group.h"
#include "sync/mutex.h"

namespace {

using namespace sluice;  // a program, not a library

constexpr int kClients = 64;
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kHashedBytes = 64 << 10;
constexpr std::size_t kTableRows = 1 << 12;
constexpr std::size_t kPhases = 3;
enum Phase : std::size_t { kCompute, kRead, kMixed };

class Load {
  public:
    Load(TimeNs duration_ns, TimeNs phase_ns, const std::string& path)
        : duration_ns_(duration_ns), phase_ns_(phase_ns) {
        fd_ = sys::open(path.c_str(), O_RDONLY | O_DIRECT, 0);
        struct stat file{};
        SLUICE_CHECK(fd_ >= 0 && sys::fstat(fd_, &file) == 0);
        blocks_ = static_cast<std::uint64_t>(file.st_size) / kBlockBytes;
        SLUICE_CHECK(blocks_ > 0);
        text_.resize(1 << 22);
        std::mt19937_64 random(1);
        for (std::uint64_t& word : text_) word = random();
        table_.resize(kTableRows);
    }
    ~Load() { sys::close(fd_); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void run() {
        started_ns_ = now_ns();
        sync::Group group(nullptr);
        for (int i = 0; i < kClients; ++i) group.spawn([this, i] { client(i); }, "client");
        SLUICE_CHECK(group.wait());
    }

    const HdrHistogram& latency() const { return latency_; }
    std::uint64_t requests_in(std::size_t phase) const { return by_phase_[phase].load(); }

  private:
    static TimeNs now_ns() { return rt::Runtime::current().clock().now_ns(); }

    void client(int number) {
        std::mt19937_64 random(static_cast<std::uint64_t>(number) + 1);
        auto* const block = static_cast<char*>(std::aligned_alloc(kBlockBytes, kBlockBytes));
        SLUICE_CHECK(block != nullptr);
        for (TimeNs begun_ns = now_ns(); begun_ns - started_ns_ < duration_ns_;) {
            const auto phase =
                static_cast<std::size_t>((begun_ns - started_ns_) / phase_ns_) % kPhases;
            const bool reads = phase == kRead || (phase == kMixed && random() % 2 == 0);
            reads ? read(random(), block) : compute(random());
            const TimeNs ended_ns = now_ns();
            {
                const SpinGuard guard(lock_);
                latency_.record(static_cast<std::uint64_t>(ended_ns - begun_ns));
            }
            by_phase_[phase].fetch_add(1, std::memory_order_relaxed);
            begun_ns = ended_ns;
            rt::yield();
        }
        std::free(block);
    }

    void read(std::uint64_t random, char* block) const {
        const auto offset = static_cast<off_t>(random % blocks_ * kBlockBytes);
        SLUICE_CHECK(sys::pread(fd_, block, kBlockBytes, offset) == kBlockBytes);
    }

    void compute(std::uint64_t random) {
        constexpr std::size_t kWords = kHashedBytes / sizeof(std::uint64_t);
        const std::size_t first = random % (text_.size() - kWords);
        std::uint64_t hash = random;
        for (std::size_t i = 0; i < kWords; ++i) {
            hash = (hash ^ text_[first + i]) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        }
        const sync::MutexGuard guard(table_lock_);
        for (int i = 0; i < 16; ++i) table_[(hash >> i) % kTableRows] += hash;
    }

    const TimeNs duration_ns_;
    const TimeNs phase_ns_;
    int fd_ = -1;
    std::uint64_t blocks_ = 0;
    std::vector<std::uint64_t> text_;
    sync::Mutex table_lock_;
    std::vector<std::uint64_t> table_;
    TimeNs started_ns_ = 0;
    SpinLock lock_;
    HdrHistogram latency_;  // written under the lock
    std::array<std::atomic<std::uint64_t>, kPhases> by_phase_{};
};

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

rt::Options options_of(const char* workers) {
    auto poller = io::make_poller_factory("auto");
    SLUICE_CHECK(poller.has_value());
    rt::Options options;
    options.make_poller = *poller;
    options.on_stall = [](const rt::StallReport&) {};  // reads stall their workers, and shall
    const char* const dash = std::strchr(workers, '-');
    options.workers = static_cast<unsigned>(std::atoi(dash != nullptr ? dash + 1 : workers));
    if (dash != nullptr) options.workers_min = static_cast<unsigned>(std::atoi(workers));
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc == 5 ? std::atof(argv[2]) : 0;
    const double phase_seconds = argc == 5 ? std::atof(argv[3]) : 0;
    if (seconds <= 0 || phase_seconds < 1e-3 || std::atoi(argv[1]) < 1) {
        std::fprintf(stderr, "usage: %s WORKERS SECONDS PHASE_SECONDS FILE\n", argv[0]);
        return 2;
    }
    Load load(static_cast<TimeNs>(seconds * 1e9), static_cast<TimeNs>(phase_seconds * 1e9),
              argv[4]);
    rt::Runtime runtime(options_of(argv[1]));
    const double cpu_before = cpu_seconds();
    runtime.run([&] { load.run(); });
    const double cpu = cpu_seconds() - cpu_before;
    const HdrHistogram& latency = load.latency();
    const auto count = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    const auto micros = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
    std::printf(
        R"({"requests": %llu, "p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f, )"
        R"("cpu_percent": %.1f, "changes": %llu, "compute": %llu, "read": %llu, "mixed": %llu})"
        "\n",
        count(latency.count()), micros(latency.percentile(50)), micros(latency.percentile(99)),
        micros(latency.max()), 100 * cpu / seconds, count(runtime.stats().active_worker_changes),
        count(load.requests_in(kCompute)), count(load.requests_in(kRead)),
        count(load.requests_in(kMixed)));
}
