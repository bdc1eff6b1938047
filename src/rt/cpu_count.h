// How many CPUs this process may use.
#pragma once

namespace sluice::rt {

// By the affinity mask (so that taskset and cpusets count), at least 1.
unsigned usable_cpus() noexcept;

}  // namespace sluice::rt
