// Workers in the places that Options gives them.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rt/baton_testing.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "rt/topology.h"

namespace sluice::rt {
namespace {

TEST(PlacedWorkers, RunOnTheirCpusAndNobodyElseDoes) {
    const std::vector<unsigned> before = allowed_cpus();
    const Topology machine = read_topology();
    Options options;
    options.workers = 2;
    options.places = place_workers(machine, 2, Pinning::kCpu);
    Runtime runtime(options);
    runtime.run([&] {
        for (unsigned worker = 0; worker < 2; ++worker) {
            Baton done;
            spawn_on(runtime, worker, [&] {
                EXPECT_EQ(allowed_cpus(), options.places[worker].cpus);
                done.post();
            });
            done.wait();
        }
        EXPECT_EQ(blocking([] { return allowed_cpus(); }), before);
    });
    EXPECT_EQ(allowed_cpus(), before);
}

// As when the process's cpuset is moved: those CPUs are not to be had.
TEST(PlacedWorkers, GoOnWhereTheirCpusAreTaken) {
    const std::vector<unsigned> before = allowed_cpus();
    unsigned absent = 0;
    while (std::ranges::find(before, absent) != before.end()) ++absent;
    ASSERT_LT(absent, limits::kCpusMax);
    Options options;
    options.workers = 2;
    options.places = {{.cpus = {absent}}, {.cpus = {absent}}};
    std::string told;
    int times = 0;
    options.on_unplaced = [&](const Error& error) {
        told = error.message();
        ++times;
    };
    Runtime runtime(std::move(options));
    unsigned ran = 0;
    runtime.run([&] {
        for (unsigned worker = 0; worker < 2; ++worker) {
            Baton done;
            spawn_on(runtime, worker, [&] {
                EXPECT_EQ(allowed_cpus(), before);
                ++ran;
                done.post();
            });
            done.wait();
        }
    });
    EXPECT_EQ(ran, 2U);
    EXPECT_EQ(times, 1);
    EXPECT_NE(told.find("run on CPUs " + std::to_string(absent)), std::string::npos) << told;
    EXPECT_EQ(runtime.stats().unplaced_threads, 4U);  // making each, and its thread
}

// Three workers: two keep queues full and do not run them, the third steals. It shares its node
// with the first.
TEST(PlacedWorkers, StealFromTheirOwnNodeFirst) {
    constexpr int kEach = 100;
    Options options;
    options.workers = 3;
    options.monitor = false;
    options.places = {{{}, 0}, {{}, 1}, {{}, 0}};
    Runtime runtime(options);
    std::vector<int> order;  // by the thief alone
    std::atomic<int> ready = 0;
    std::atomic<int> filled = 0;
    std::atomic<int> ran = 0;
    const auto wait_for = [](const std::atomic<int>& value, int wanted) {
        while (value < wanted) std::this_thread::yield();
    };
    const auto fill = [&](int owner) {
        ++ready;
        wait_for(ready, 3);
        for (int i = 0; i < kEach; ++i) {
            spawn([&, owner] {
                order.push_back(owner);
                ++ran;
            });
        }
        ++filled;
        wait_for(ran, 2 * kEach);
    };
    runtime.run([&] {
        spawn_on(runtime, 2, [&] {
            ++ready;
            wait_for(filled, 2);
        });
        for (const unsigned owner : {0U, 1U}) {
            spawn_on(runtime, owner, [&, owner] { fill(static_cast<int>(owner)); });
        }
    });
    ASSERT_EQ(order.size(), 2U * kEach);
    for (int i = 0; i < 2 * kEach; ++i) EXPECT_EQ(order[i], i < kEach ? 0 : 1) << i;
    const Stats stats = runtime.stats();
    EXPECT_GE(stats.steals_far, 1U);
    EXPECT_LT(stats.steals_far, stats.steals);
}

}  // namespace
}  // namespace sluice::rt
