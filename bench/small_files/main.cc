// small_files DIR MODE PASSES: reads every file of DIR, and prints a line of JSON with the median
// pass: wall and CPU time, how many tasks were started for it, and the bytes. test/bench/files.py
// runs it beside the Go program of the same modes. Before the first pass that counts is another.
//   loop       one thread, one file after the other: what the system calls cost
//   each       a fiber a file, each handed to a blocking thread
//   pool       a WorkerPool whose fibers hand over batches
//   reader     four fibers with a SmallFileReader each, which hand over batches
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/posix_file_system.h"
#include "io/small_file_reader.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "sync/group.h"
#include "sync/worker_pool.h"

using namespace sluice;

namespace {

using Paths = std::vector<std::string>;
using Bytes = std::atomic<std::uint64_t>;

struct Pass {
    double wall_ms, cpu_ms;
    std::uint64_t tasks, bytes;
};

double now_ms(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

io::FileSystem& files() {
    static const auto machine = io::make_posix_file_system();
    return *machine;
}

std::size_t read_file(const std::string& path) {
    std::array<std::byte, 4'096> buffer;
    const auto file = files().open(path, io::OpenMode::kRead);
    return file ? (*file)->pread(buffer, 0).value_or(0) : 0;
}

void read_in_a_loop(const Paths& paths, Bytes& bytes) {
    for (const std::string& path : paths) bytes += read_file(path);
}

void read_each(const Paths& paths, Bytes& bytes) {
    sync::Group group(nullptr);
    for (const std::string& path : paths) {
        group.spawn([&] { bytes += rt::blocking([&] { return read_file(path); }); });
    }
    (void)group.wait();
}

void read_by_pool(const Paths& paths, Bytes& bytes) {
    sync::WorkerPool pool(nullptr, {.workers = 4, .queue = 512, .blocking_batch = 64});
    for (const std::string& path : paths) {
        (void)pool.submit([&](const sync::Context&) { bytes += read_file(path); });
    }
    (void)pool.drain();
}

void read_by_readers(const Paths& paths, Bytes& bytes) {
    std::atomic<std::size_t> next = 0;
    sync::Group group(nullptr);
    for (int f = 0; f < 4; ++f) {
        group.spawn([&] {
            io::SmallFileReader reader(4'095);
            rt::blocking([&] {
                for (;;) {
                    const std::size_t from = next.fetch_add(limits::kSmallFilesBatch);
                    if (from >= paths.size()) return;
                    const std::size_t count =
                        std::min(paths.size() - from, limits::kSmallFilesBatch);
                    for (const auto& content : reader.read(std::span(paths).subspan(from, count))) {
                        if (content) bytes += content->size();
                    }
                }
            });
        });
    }
    (void)group.wait();
}

std::function<void(const Paths&, Bytes&)> reader(std::string_view mode) {
    if (mode == "loop") return read_in_a_loop;
    if (mode == "each") return read_each;
    if (mode == "pool") return read_by_pool;
    if (mode == "reader") return read_by_readers;
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const auto read = argc == 4 ? reader(argv[2]) : nullptr;
    const int count = argc == 4 ? std::atoi(argv[3]) : 0;
    if (!read || count < 1) {
        std::fprintf(stderr, "usage: %s DIR loop|each|pool|reader PASSES\n", argv[0]);
        return 2;
    }
    Paths paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        paths.push_back(entry.path());
    }
    // The loop stalls its worker, and shall.
    rt::Runtime runtime({.workers = 2, .on_stall = [](const rt::StallReport&) {}});
    std::vector<Pass> passes;
    for (int i = 0; i <= count; ++i) {
        Bytes bytes = 0;
        const std::uint64_t fibers = runtime.stats().fibers_started;
        const double wall_ms = now_ms(CLOCK_MONOTONIC);
        const double cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID);
        runtime.run([&] { read(paths, bytes); });
        const Pass pass{now_ms(CLOCK_MONOTONIC) - wall_ms,
                        now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_ms,
                        runtime.stats().fibers_started - fibers - 1, bytes.load()};
        if (i > 0) passes.push_back(pass);
    }
    std::ranges::sort(passes, {}, &Pass::wall_ms);
    const Pass& median = passes[passes.size() / 2];
    std::printf("{\"wall_ms\": %.2f, \"cpu_ms\": %.2f, \"tasks\": %llu, \"bytes\": %llu}\n",
                median.wall_ms, median.cpu_ms, static_cast<unsigned long long>(median.tasks),
                static_cast<unsigned long long>(median.bytes));
}
