#include <chrono>
#include <fstream>
#include <thread>

#include "modes.h"

namespace memory_bench {
namespace {

// The kB after "Name:" in a file of /proc, in bytes.
std::int64_t field_bytes(const char* path, const std::string& name) {
    std::ifstream file(path);
    for (std::string word; file >> word;) {
        std::int64_t kib = 0;
        if (word == name && file >> kib) return kib * 1024;
    }
    return 0;
}

}  // namespace

Usage usage() {
    return {.resident = field_bytes("/proc/self/status", "VmRSS:"),
            .page_tables = field_bytes("/proc/self/status", "VmPTE:"),
            .kernel_slabs = field_bytes("/proc/meminfo", "Slab:")};
}

std::int64_t wait_until_resident(std::int64_t bytes) {
    using std::chrono::milliseconds;
    using std::chrono::steady_clock;
    const auto start = steady_clock::now();
    for (;;) {
        const bool down = usage().resident <= bytes;
        const auto elapsed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
        if (down) return elapsed.count();
        if (elapsed > milliseconds(10'000)) return -1;
        std::this_thread::sleep_for(milliseconds(10));  // the kernel notifies of no shrinking
    }
}

}  // namespace memory_bench
