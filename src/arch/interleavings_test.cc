// That the explorer finds what it is for: each of these programs has a fault in some interleaving,
// or a known number of them.
#include <gtest/gtest.h>

#include <memory>

#include "arch/interleavings_testing.h"

namespace sluice::model {
namespace {

struct Counter {
    Atomic<int> count{0};
};

TEST(Interleavings, CountsThemAll) {
    const auto report = explore([] {
        auto state = std::make_shared<Counter>();
        const auto twice = [state] {
            state->count.fetch_add(1);
            state->count.fetch_add(1);
        };
        return Program{{twice, twice}, [state] { expect(state->count.value() == 4); }};
    });
    EXPECT_EQ(report.failure, "");
    EXPECT_TRUE(report.complete);
    // Each thread: start, two steps. 6! / (3! 3!).
    EXPECT_EQ(report.executions, 20u);
}

TEST(Interleavings, APreemptionBoundCutsTheSearch) {
    const auto make = [] {
        auto state = std::make_shared<Counter>();
        const auto twice = [state] {
            state->count.fetch_add(1);
            state->count.fetch_add(1);
        };
        return Program{{twice, twice}, [] {}};
    };
    EXPECT_EQ(explore(make, {.preemptions_max = 0}).executions, 2u);
    EXPECT_EQ(explore(make, {.executions_max = 7}).executions, 7u);
    EXPECT_FALSE(explore(make, {.executions_max = 7}).complete);
}

TEST(Interleavings, FindsALostUpdate) {
    const auto report = explore([] {
        auto state = std::make_shared<Counter>();
        const auto add = [state] { state->count.store(state->count.load() + 1); };
        return Program{{add, add}, [state] { expect(state->count.value() == 2, "lost"); }};
    });
    EXPECT_EQ(report.failure.substr(0, 4), "lost");
}

struct Handover {
    Value value;
    Atomic<bool> ready{false};
};

Report hand_over(std::memory_order store, std::memory_order load) {
    return explore([=] {
        auto state = std::make_shared<Handover>();
        return Program{{[=] {
                            state->value = Value(7);
                            state->ready.store(true, store);
                        },
                        [=] {
                            if (state->ready.load(load)) expect(state->value.number() == 7);
                        }},
                       [] {}};
    });
}

TEST(Interleavings, FindsAMissingReleaseOrAcquire) {
    EXPECT_EQ(hand_over(std::memory_order_release, std::memory_order_acquire).failure, "");
    EXPECT_NE(hand_over(std::memory_order_relaxed, std::memory_order_acquire).failure, "");
    EXPECT_NE(hand_over(std::memory_order_release, std::memory_order_relaxed).failure, "");
}

}  // namespace
}  // namespace sluice::model
