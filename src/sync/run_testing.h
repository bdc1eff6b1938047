// Runs a test's body as fibers: on real workers, or simulated with a seed (one worker, virtual
// time, random but repeatable choice of the next fiber).
#pragma once

#include <cstdint>
#include <functional>

namespace sluice::sync {

void run_on(unsigned workers, std::function<void()> body);
void run_simulated(std::uint64_t seed, std::function<void()> body);

// body(seed) for the seeds 1 to `count`, until one fails; that one's message says how to repeat it.
// In the environment SLUICE_SEEDS=10000 asks for as many, and SLUICE_SEED=17 for that one alone:
//
//   SLUICE_SEEDS=10000 build/dev/src/sync/sync_test --gtest_filter='Simulation.*'
void for_each_seed(std::uint64_t count, const std::function<void(std::uint64_t seed)>& body);

}  // namespace sluice::sync
