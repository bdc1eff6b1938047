#include "rt/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace sluice::rt {

unsigned usable_cpus() noexcept {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
    }
    return std::max(1U, std::thread::hardware_concurrency());  // more CPUs than the mask holds
}

}  // namespace sluice::rt
