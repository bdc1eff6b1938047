#include "rt/topology.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"
#include "rt/cpu_count.h"

namespace sluice::rt {
namespace {

Result<std::vector<unsigned>> not_a_list(std::string_view list) {
    return fail(Code::kInvalidArgument,
                "\"" + std::string(list) + "\" is no list of CPUs such as 0-3,8");
}

// A number at the front, which is cut off.
std::optional<unsigned> take_number(std::string_view& text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number >= limits::kCpusMax) return {};
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// The numbers of a file that holds a list; none if it cannot be read.
std::vector<unsigned> list_in(const std::string& path) {
    return parse_cpu_list(first_line(path)).value_or(std::vector<unsigned>());
}

}  // namespace

Result<std::vector<unsigned>> parse_cpu_list(std::string_view list) {
    std::vector<unsigned> cpus;
    std::string_view rest = list;
    for (;;) {
        const auto first = take_number(rest);
        if (!first) return not_a_list(list);
        auto last = first;
        if (rest.starts_with('-')) {
            rest.remove_prefix(1);
            last = take_number(rest);
            if (!last || *last < *first) return not_a_list(list);
        }
        for (unsigned cpu = *first; cpu <= *last; ++cpu) {
            if (std::ranges::find(cpus, cpu) != cpus.end()) return not_a_list(list);
            cpus.push_back(cpu);
        }
        if (rest.empty()) return cpus;
        if (!rest.starts_with(',')) return not_a_list(list);
        rest.remove_prefix(1);
    }
}

std::string cpu_list(const std::vector<unsigned>& cpus) {
    std::string text;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
        if (!text.empty()) text += ',';
        text += std::to_string(cpus[i]);
        if (last > i) text += '-' + std::to_string(cpus[last]);
        i = last + 1;
    }
    return text;
}

std::vector<unsigned> allowed_cpus() {
    std::vector<unsigned> cpus;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        for (unsigned cpu = 0; cpu < usable_cpus(); ++cpu) cpus.push_back(cpu);
        return cpus;
    }
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

Topology read_topology(const std::vector<unsigned>& allowed, const std::string& root) {
    Topology topology;
    for (const unsigned cpu : allowed) topology.cpus.push_back({.number = cpu, .node = 0});
    for (const unsigned node : list_in(root + "/node/online")) {
        for (const unsigned cpu :
             list_in(root + "/node/node" + std::to_string(node) + "/cpulist")) {
            const auto found = std::ranges::find(topology.cpus, cpu, &Topology::Cpu::number);
            if (found != topology.cpus.end()) found->node = node;
        }
    }
    return topology;
}

Result<Topology> Topology::only(std::string_view list) const {
    SLUICE_TRY_ASSIGN(const std::vector<unsigned> wanted, parse_cpu_list(list));
    Topology part;
    for (const unsigned number : wanted) {
        const auto found = std::ranges::find(cpus, number, &Cpu::number);
        if (found == cpus.end()) {
            std::vector<unsigned> here;
            for (const Cpu& cpu : cpus) here.push_back(cpu.number);
            return fail(Code::kInvalidArgument, "CPU " + std::to_string(number) +
                                                    " is not among those that this process may "
                                                    "use: " +
                                                    cpu_list(here));
        }
        part.cpus.push_back(*found);
    }
    return part;
}

std::vector<WorkerPlace> place_workers(const Topology& topology, unsigned workers,
                                       Pinning pinning) {
    SLUICE_CHECK(!topology.cpus.empty());
    std::vector<Topology::Cpu> cpus = topology.cpus;
    // Neighbours share a node.
    if (pinning == Pinning::kNode) std::ranges::sort(cpus, {}, &Topology::Cpu::node);
    std::vector<WorkerPlace> places(workers);
    for (std::size_t i = 0; i < workers; ++i) {
        const bool in_turn = pinning == Pinning::kCpu;
        const Topology::Cpu& mine = cpus[in_turn ? i % cpus.size() : i * cpus.size() / workers];
        WorkerPlace& place = places[i];
        if (pinning != Pinning::kNone) place.node = mine.node;
        for (const Topology::Cpu& cpu : topology.cpus) {
            const bool here = pinning == Pinning::kNone ||
                              (pinning == Pinning::kCpu ? cpu == mine : cpu.node == mine.node);
            if (here) place.cpus.push_back(cpu.number);
        }
    }
    return places;
}

Status pin_thread(const std::vector<unsigned>& cpus) {
    if (cpus.empty()) return {};
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned cpu : cpus) CPU_SET(cpu, &set);
    const int result = sys::sched_setaffinity(set);
    if (result == 0) return {};
    return fail(Error::from_errno(result, "run on CPUs " + cpu_list(cpus)));
}

}  // namespace sluice::rt
