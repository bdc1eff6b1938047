// Runs a test's body as fibers: on real workers, or simulated with a seed (one worker, virtual
// time, random but repeatable choice of the next fiber).
#pragma once

#include <cstdint>
#include <functional>

namespace sluice::sync {

void run_on(unsigned workers, std::function<void()> body);
void run_simulated(std::uint64_t seed, std::function<void()> body);

}  // namespace sluice::sync
