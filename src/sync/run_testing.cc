#include "sync/run_testing.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
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

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

void for_each_seed(std::uint64_t count, const std::function<void(std::uint64_t seed)>& body) {
    const std::uint64_t only = number_from("SLUICE_SEED", 0);
    const std::uint64_t first = only != 0 ? only : 1;
    const std::uint64_t last = only != 0 ? only : number_from("SLUICE_SEEDS", count);
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        SCOPED_TRACE("again: SLUICE_SEED=" + std::to_string(seed) + ", and this test alone");
        body(seed);
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace sluice::sync
