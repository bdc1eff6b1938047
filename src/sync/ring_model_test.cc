// The rings in every interleaving of small programs, with their memory orders checked
// (arch/interleavings_testing.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "arch/interleavings_testing.h"
#include "arch/switch.h"
#include "sync/mpmc_ring.h"
#include "sync/mpsc_ring.h"

namespace sluice::sync {
namespace {

using model::Value;

template <class Ring>
struct State {
    // `rounds` full turns first, so that the threads meet cells that have been used before.
    explicit State(int rounds) : ring(2) {
        for (int i = 0; i < rounds; ++i) {
            (void)ring.try_push(Value(0));
            (void)ring.try_pop();
        }
    }
    Ring ring;
    std::vector<int> pushed[model::kThreadsMax];
    std::vector<int> popped[model::kThreadsMax];
};

// A producer pushes `count` numbers if there is room: 10 * (its index + 1) + 0, 1, ...
template <class Ring>
std::function<void()> producer(std::shared_ptr<State<Ring>> state, int index, int count) {
    return [=] {
        for (int i = 0; i < count; ++i) {
            const int number = 10 * (index + 1) + i;
            if (state->ring.try_push(Value(number))) state->pushed[index].push_back(number);
        }
    };
}

template <class Ring>
std::function<void()> consumer(std::shared_ptr<State<Ring>> state, int index, int count) {
    return [=] {
        for (int i = 0; i < count; ++i) {
            if (const auto value = state->ring.try_pop()) {
                state->popped[index].push_back(value->number());
            }
        }
    };
}

// What was pushed has been popped or lies in the ring, once; each consumer has seen each producer's
// in order, and what is left comes after what was popped.
template <class Ring>
std::function<void()> check(std::shared_ptr<State<Ring>> state) {
    return [=] {
        std::vector<int> pushed;
        std::vector<int> popped;
        for (const auto& some : state->pushed)
            pushed.insert(pushed.end(), some.begin(), some.end());
        for (const auto& some : state->popped) {
            popped.insert(popped.end(), some.begin(), some.end());
            for (std::size_t i = 1; i < some.size(); ++i) {
                const bool same_producer = some[i] / 10 == some[i - 1] / 10;
                model::expect(!same_producer || some[i - 1] < some[i], "order at a consumer");
            }
        }
        std::size_t left = 0;
        while (const auto value = state->ring.try_pop()) {
            popped.push_back(value->number());
            ++left;
        }
        model::expect(left <= 2, "more than the capacity");
        std::sort(pushed.begin(), pushed.end());
        std::sort(popped.begin(), popped.end());
        model::expect(pushed == popped, "lost or doubled");
        // Full and empty are told apart: the first push into an empty ring never fails.
        model::expect(!pushed.empty(), "nothing went in");
    };
}

template <class Ring>
model::Report run(int producers, int pushes, int consumers, int pops, int rounds,
                  model::Bounds bounds = {}) {
    return model::explore(
        [=] {
            auto state = std::make_shared<State<Ring>>(rounds);
            model::Program program;
            for (int p = 0; p < producers; ++p) {
                program.threads.push_back(producer<Ring>(state, p, pushes));
            }
            for (int c = 0; c < consumers; ++c) {
                program.threads.push_back(consumer<Ring>(state, producers + c, pops));
            }
            program.check = check<Ring>(state);
            return program;
        },
        bounds);
}

using Mpsc = MpscRing<Value, model::Atomic>;
using Mpmc = MpmcRing<Value, model::Atomic>;

void expect_sound(const model::Report& report, std::uint64_t executions_least) {
    EXPECT_EQ(report.failure, "");
    EXPECT_TRUE(report.complete);
    EXPECT_GE(report.executions, executions_least);
    testing::Test::RecordProperty("executions", std::to_string(report.executions));
}

// Sanitizers make a step ten times as dear: fewer preemptions there.
constexpr bool kSlow = SLUICE_ASAN != 0 || SLUICE_TSAN != 0;
constexpr std::uint64_t kManyExecutions = kSlow ? 100 : 10'000;
constexpr model::Bounds up_to(unsigned preemptions) {
    return {.preemptions_max = kSlow ? 2 : preemptions};
}

TEST(RingModel, MpscTwoProducersAndTheConsumer) {
    for (const int rounds : {0, 1, 2})
        expect_sound(run<Mpsc>(2, 1, 1, 2, rounds, up_to(UINT32_MAX)), kManyExecutions);
}

TEST(RingModel, MpmcTwoProducersTwoConsumers) {
    for (const int rounds : {0, 1}) {
        expect_sound(run<Mpmc>(2, 1, 2, 1, rounds, up_to(4)), kManyExecutions);
    }
}

// More pushes than there are cells: full rings, and cells used again while others look at them.
TEST(RingModel, FullAndWrappingUpToThreePreemptions) {
    expect_sound(run<Mpsc>(2, 3, 1, 4, 1, up_to(3)), kManyExecutions / 10);
    expect_sound(run<Mpmc>(2, 2, 2, 2, 1, up_to(3)), kManyExecutions / 10);
}

// The model can see it: the same program on rings whose orders are all relaxed fails.
template <class T>
struct RelaxedAtomic : model::Atomic<T> {
    using model::Atomic<T>::Atomic;
    T load(std::memory_order) const { return model::Atomic<T>::load(std::memory_order_relaxed); }
    void store(T value, std::memory_order) {
        model::Atomic<T>::store(value, std::memory_order_relaxed);
    }
};

TEST(RingModel, WithoutReleaseAndAcquireItFails) {
    const auto mpsc = run<MpscRing<Value, RelaxedAtomic>>(1, 1, 1, 1, 0);
    EXPECT_NE(mpsc.failure.find("unordered"), std::string::npos) << mpsc.failure;
    const auto mpmc = run<MpmcRing<Value, RelaxedAtomic>>(1, 1, 1, 1, 0);
    EXPECT_NE(mpmc.failure.find("unordered"), std::string::npos) << mpmc.failure;
}

}  // namespace
}  // namespace sluice::sync
