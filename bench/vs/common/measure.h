// What the C++ programs of bench/vs share: the command line, how a line is timed, how it is
// printed. bench/vs/README.md has the lines.
#pragma once

#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace vs {

struct Options {
    std::string line;
    unsigned workers = 2;
    double seconds = 0.5;
    std::int64_t count = 1'000'000;
};

inline constexpr int kUnknownLine = 3;
inline constexpr std::size_t kMessageBytes = 64;  // of the echo lines

[[noreturn]] inline void usage(const char* program) {
    std::fprintf(stderr, "usage: %s LINE [--workers N] [--seconds S] [--count N]\n", program);
    std::exit(2);
}

inline Options parse(int argc, char** argv) {
    Options options;
    if (argc < 2 || argc % 2 != 0) usage(argv[0]);
    options.line = argv[1];
    for (int i = 2; i < argc; i += 2) {
        if (std::strcmp(argv[i], "--workers") == 0) {
            options.workers = static_cast<unsigned>(std::atoi(argv[i + 1]));
        } else if (std::strcmp(argv[i], "--seconds") == 0) {
            options.seconds = std::atof(argv[i + 1]);
        } else if (std::strcmp(argv[i], "--count") == 0) {
            options.count = std::atoll(argv[i + 1]);
        } else {
            usage(argv[0]);
        }
    }
    return options;
}

inline std::int64_t read_clock_ns(clockid_t clock) {
    timespec now{};
    if (clock_gettime(clock, &now) != 0) std::abort();
    return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

inline std::int64_t rss_bytes() {
    long long total_pages = 0;
    long long resident_pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%lld %lld", &total_pages, &resident_pages) != 2) {
        std::abort();
    }
    std::fclose(file);
    return resident_pages * sysconf(_SC_PAGESIZE);
}

inline void print(const Options& options, std::int64_t ops, std::int64_t wall_ns,
                  std::int64_t cpu_ns, std::int64_t rss) {
    std::printf(R"({"line": "%s", "ops": %lld, "wall_ns": %lld, "cpu_ns": %lld, "rss_bytes": %lld})"
                "\n",
                options.line.c_str(), static_cast<long long>(ops), static_cast<long long>(wall_ns),
                static_cast<long long>(cpu_ns), static_cast<long long>(rss));
    std::fflush(stdout);
}

// Runs body(n), which does n operations, with growing n until it takes options.seconds.
template <class Body>
void measure(const Options& options, Body body) {
    const auto wanted_ns = static_cast<std::int64_t>(options.seconds * 1e9);
    for (std::int64_t n = 1'000;;) {
        const std::int64_t wall_before_ns = read_clock_ns(CLOCK_MONOTONIC);
        const std::int64_t cpu_before_ns = read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        body(n);
        const std::int64_t cpu_ns = read_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before_ns;
        const std::int64_t wall_ns = read_clock_ns(CLOCK_MONOTONIC) - wall_before_ns;
        if (wall_ns >= wanted_ns) return print(options, n, wall_ns, cpu_ns, rss_bytes());
        const double growth = 1.2 * static_cast<double>(wanted_ns) /
                              static_cast<double>(std::max<std::int64_t>(wall_ns, 1));
        n = static_cast<std::int64_t>(static_cast<double>(n) * std::clamp(growth, 1.1, 100.0));
    }
}

}  // namespace vs
