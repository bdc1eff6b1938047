// Lists of CPUs, a machine with two nodes that a folder pretends to be, and who is placed where.
#include "rt/topology.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "base/temporary_dir_testing.h"

namespace sluice::rt {
namespace {

using Cpus = std::vector<unsigned>;

// Two nodes of four CPUs, numbered as machines with two sockets often do.
class TwoNodes {
  public:
    TwoNodes() {
        write("node/online", "0-1\n");
        write("node/node0/cpulist", "0,2,4,6\n");
        write("node/node1/cpulist", "1,3,5,7\n");
    }
    Topology read(const Cpus& allowed) const { return read_topology(allowed, dir_.path()); }

  private:
    void write(const std::string& name, const char* text) {
        const std::filesystem::path path = dir_.path(name);
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    TemporaryDir dir_;
};

TEST(Topology, ListsAreReadAndWritten) {
    EXPECT_EQ(parse_cpu_list("0-3,8").value(), (Cpus{0, 1, 2, 3, 8}));
    EXPECT_EQ(parse_cpu_list("5,1").value(), (Cpus{5, 1}));
    EXPECT_EQ(cpu_list({0, 1, 2, 3, 8}), "0-3,8");
    EXPECT_EQ(cpu_list({5, 1}), "5,1");
    const std::string too_large = std::to_string(limits::kCpusMax);
    for (const std::string bad : {"", "x", "1-", "-1", "3-1", "1,", "1,,2", "1 2", "1,1", "0-2,1",
                                  "99999999999", too_large.c_str()}) {
        EXPECT_EQ(parse_cpu_list(bad).error().code(), Code::kInvalidArgument) << bad;
    }
}

TEST(Topology, NodesAreRead) {
    const TwoNodes machine;
    EXPECT_EQ(machine.read({0, 1, 2, 3}).cpus,
              (std::vector<Topology::Cpu>{{0, 0}, {1, 1}, {2, 0}, {3, 1}}));
}

TEST(Topology, CpusThatAreNotAllowedAreNotThere) {
    const TwoNodes machine;
    const Topology mine = machine.read({1, 6});
    EXPECT_EQ(mine.cpus, (std::vector<Topology::Cpu>{{1, 1}, {6, 0}}));
    EXPECT_EQ(mine.only("6").value().cpus, (std::vector<Topology::Cpu>{{6, 0}}));
    const auto refused = mine.only("1,2");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "CPU 2 is not among those that this process may use: 1,6");
}

TEST(Topology, WithoutNumaThereIsOneNode) {
    const TemporaryDir empty;
    EXPECT_EQ(read_topology({0, 3}, empty.path()).cpus,
              (std::vector<Topology::Cpu>{{0, 0}, {3, 0}}));
}

TEST(Topology, ThisMachineHasTheCpusOfTheMask) {
    const Topology here = read_topology();
    ASSERT_FALSE(here.cpus.empty());
    EXPECT_EQ(here.cpus.size(), allowed_cpus().size());
}

TEST(Placement, OneCpuEachInTheOrderOfTheList) {
    const TwoNodes machine;
    const Topology mine = machine.read({0, 1, 2, 3, 4, 5, 6, 7}).only("5,2,1").value();
    EXPECT_EQ(place_workers(mine, 4, Pinning::kCpu),
              (std::vector<WorkerPlace>{{{5}, 1}, {{2}, 0}, {{1}, 1}, {{5}, 1}}));
}

TEST(Placement, NodesGetWorkersInProportion) {
    const TwoNodes machine;
    const Topology all = machine.read({0, 1, 2, 3, 4, 5, 6, 7});
    const WorkerPlace even{{0, 2, 4, 6}, 0};
    const WorkerPlace odd{{1, 3, 5, 7}, 1};
    EXPECT_EQ(place_workers(all, 4, Pinning::kNode),
              (std::vector<WorkerPlace>{even, even, odd, odd}));
    const Topology lopsided = machine.read({0, 2, 4, 5});
    const WorkerPlace three{{0, 2, 4}, 0};
    const WorkerPlace one{{5}, 1};
    EXPECT_EQ(place_workers(lopsided, 8, Pinning::kNode),
              (std::vector<WorkerPlace>{three, three, three, three, three, three, one, one}));
}

TEST(Placement, WithoutPinningAllCpusAreAllWorkers) {
    const TwoNodes machine;
    const WorkerPlace anywhere{{0, 1, 2}, 0};
    EXPECT_EQ(place_workers(machine.read({0, 1, 2}), 2, Pinning::kNone),
              (std::vector<WorkerPlace>{anywhere, anywhere}));
}

}  // namespace
}  // namespace sluice::rt
