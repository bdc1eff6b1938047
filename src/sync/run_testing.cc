#include "sync/run_testing.h"

#include <utility>

#include "rt/runtime.h"
#include "rt/simulation.h"

namespace sluice::sync {

void run_on(unsigned workers, std::function<void()> body) {
    rt::Runtime runtime({.workers = workers});
    runtime.run(std::move(body));
}

void run_simulated(std::uint64_t seed, std::function<void()> body) {
    rt::SimClock clock;
    rt::Runtime runtime(rt::simulated(clock, seed));
    runtime.run(std::move(body));
}

}  // namespace sluice::sync
