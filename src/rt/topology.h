// Topology: the CPUs that this process may use and the NUMA node of each; and where its workers
// go.
//
//   SLUICE_TRY_ASSIGN(const Topology machine, read_topology());
//   SLUICE_TRY_ASSIGN(const Topology mine, machine.only("0-3,8"));
//   options.places = place_workers(mine, workers, Pinning::kNode);
//
// Reading blocks on /sys for some 10 us; the rest is pure. Source: the kernel's
// Documentation/ABI/stable/sysfs-devices-node (node*/cpulist).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::rt {

struct Topology {
    struct Cpu {
        unsigned number = 0;
        unsigned node = 0;
        bool operator==(const Cpu&) const = default;
    };
    std::vector<Cpu> cpus;  // in the order in which they are given out

    // The CPUs of a list, in its order, with the nodes that they have here. kInvalidArgument names
    // a CPU that is not among these.
    Result<Topology> only(std::string_view list) const;
};

// "0-3,8": the kernel's form. kInvalidArgument: not of that form, empty, a CPU twice, or one of
// limits::kCpusMax and more.
Result<std::vector<unsigned>> parse_cpu_list(std::string_view list);
// The same form: "0-3,8".
std::string cpu_list(const std::vector<unsigned>& cpus);

// The CPUs that the calling thread may use (its affinity mask: cpusets and taskset count).
std::vector<unsigned> allowed_cpus();

// The `allowed` ones, ascending. A machine without NUMA has node 0 alone. `root` is for tests.
Topology read_topology(const std::vector<unsigned>& allowed = allowed_cpus(),
                       const std::string& root = "/sys/devices/system");

enum class Pinning {
    kNone,  // a worker runs on any CPU of the topology
    kCpu,   // on one of them
    kNode,  // on those of one node
};

// Where a worker runs, and with whose memory.
struct WorkerPlace {
    std::vector<unsigned> cpus;  // none: on any
    unsigned node = 0;
    bool operator==(const WorkerPlace&) const = default;
};

// A place for each of so many workers. kCpu: the CPUs in their order, again from the first when
// there are more workers. kNode: the nodes get workers in proportion to their CPUs, neighbours
// together.
std::vector<WorkerPlace> place_workers(const Topology& topology, unsigned workers, Pinning pinning);

// The calling thread runs on these alone from now on; with none nothing changes. What it has
// started stays where it is; what it starts inherits them.
Status pin_thread(const std::vector<unsigned>& cpus);

}  // namespace sluice::rt
