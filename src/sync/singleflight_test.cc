#include "sync/singleflight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <string>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

using Flights = Singleflight<std::string, int>;

TEST(Singleflight, OneRunsAllGetTheResult) {
    run_on(3, [] {
        Flights flights;
        Event go;
        std::atomic<int> runs{0};
        std::atomic<int> got{0};
        std::atomic<int> asked{0};
        std::atomic<int> shared_count{0};
        Group group(nullptr);
        for (int i = 0; i < 50; ++i) {
            group.spawn([&] {
                asked.fetch_add(1);
                bool shared = false;
                const Result<int> result = flights.run(
                    "key", Context::background(),
                    [&]() -> Result<int> {
                        runs.fetch_add(1);
                        (void)go.wait();
                        return 42;
                    },
                    &shared);
                ASSERT_TRUE(result.has_value());
                EXPECT_EQ(*result, 42);
                got.fetch_add(1);
                if (shared) shared_count.fetch_add(1);
            });
        }
        while (asked.load() < 50) rt::yield();
        rt::sleep_for(20 * kMillisecond);  // all but the first wait by now, or run anew after it
        go.set();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(got.load(), 50);
        EXPECT_EQ(runs.load() + shared_count.load(), 50);
    });
}

TEST(Singleflight, KeysAreSeparateAndErrorsAreShared) {
    run_simulated(1, [] {
        Flights flights;
        int runs = 0;
        int failed = 0;
        Group group(nullptr);
        for (const char* key : {"a", "b", "a", "b", "a"}) {
            group.spawn([&, key] {
                const Result<int> result = flights.run(key, Context::background(), [&] {
                    ++runs;
                    rt::sleep_for(kMillisecond);
                    return Result<int>(fail(Code::kNotFound, key));
                });
                EXPECT_EQ(result.error().code(), Code::kNotFound);
                EXPECT_EQ(result.error().message(), key);
                ++failed;
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(runs, 2);
        EXPECT_EQ(failed, 5);
        // Nothing is kept.
        EXPECT_EQ(*flights.run("a", Context::background(), [] { return Result<int>(1); }), 1);
    });
}

TEST(Singleflight, AWaiterGivesUpAloneAndTheWorkGoesOn) {
    run_simulated(2, [] {
        Flights flights;
        Group group(nullptr);
        group.spawn([&] {
            EXPECT_EQ(*flights.run("k", Context::background(),
                                   [] {
                                       rt::sleep_for(kSecond);
                                       return Result<int>(7);
                                   }),
                      7);
        });
        rt::sleep_for(kMicrosecond);
        Context hurried(nullptr, deadline_after(kMillisecond));
        const auto never = [] {
            ADD_FAILURE();
            return Result<int>(0);
        };
        EXPECT_EQ(flights.run("k", hurried, never).error().code(), Code::kDeadlineExceeded);
        EXPECT_EQ(*flights.run("k", Context::background(), never), 7);
        EXPECT_TRUE(group.wait().has_value());
    });
}

// The runner's own cancellation must not fail those who are still interested.
TEST(Singleflight, AfterACancelledRunnerAWaiterRuns) {
    run_simulated(3, [] {
        Flights flights;
        int runs = 0;
        int got = 0;
        Context stop(nullptr);
        Group group(nullptr);
        group.spawn([&] {
            const Result<int> result = flights.run("k", stop, [&]() -> Result<int> {
                ++runs;
                Event never;
                SLUICE_TRY(never.wait(stop));
                return 1;
            });
            EXPECT_EQ(result.error().code(), Code::kCancelled);
        });
        rt::sleep_for(kMicrosecond);
        for (int i = 0; i < 10; ++i) {
            group.spawn([&] {
                const Result<int> result = flights.run("k", Context::background(), [&] {
                    ++runs;
                    rt::sleep_for(kMillisecond);
                    return Result<int>(2);
                });
                EXPECT_EQ(*result, 2);
                ++got;
            });
        }
        rt::sleep_for(kMicrosecond);
        stop.cancel();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(got, 10);
        EXPECT_EQ(runs, 2);
    });
}

TEST(Singleflight, ForgetBeginsANewCall) {
    run_simulated(4, [] {
        Flights flights;
        Event go;
        Group group(nullptr);
        group.spawn([&] {
            EXPECT_EQ(*flights.run("k", Context::background(),
                                   [&] {
                                       (void)go.wait();
                                       return Result<int>(1);
                                   }),
                      1);
        });
        rt::sleep_for(kMicrosecond);
        flights.forget("k");
        EXPECT_EQ(*flights.run("k", Context::background(), [] { return Result<int>(2); }), 2);
        go.set();
        EXPECT_TRUE(group.wait().has_value());
    });
}

struct FlightWorld {
    Singleflight<int, int> flights;
    std::map<int, int> running;
    std::map<int, int> completed;  // by key: the number of the last run
};

// What a run answers: its key and its number.
Result<int> run_for(FlightWorld& world, int key, TimeNs nap_ns, bool fails, Context& context) {
    EXPECT_EQ(++world.running[key], 1);
    Event never;
    Context pause(&context, deadline_after(nap_ns));
    (void)never.wait(pause);
    EXPECT_EQ(--world.running[key], 0);
    const int number = ++world.completed[key];
    SLUICE_TRY(context.status());
    if (fails) return fail(Code::kAborted, "bad luck");
    return key * 10'000 + number;
}

void ask_at_random(FlightWorld& world, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&random](TimeNs bound_ns) {
        return static_cast<TimeNs>(random() % static_cast<std::uint64_t>(bound_ns));
    };
    for (int i = 0; i < 15; ++i) {
        const int key = static_cast<int>(random() % 3);
        const TimeNs nap_ns = below(60);
        const bool fails = random() % 5 == 0;
        Context context(nullptr, random() % 2 == 0 ? deadline_after(below(80)) : kNever);
        const int before = world.completed[key];
        const Result<int> result = world.flights.run(
            key, context, [&] { return run_for(world, key, nap_ns, fails, context); });
        if (result) {
            EXPECT_EQ(*result / 10'000, key);
            EXPECT_GT(*result % 10'000, before) << "an old answer";
        } else if (result.error().code() != Code::kAborted) {
            EXPECT_TRUE(context.ended()) << result.error().message();
        }
        if (random() % 3 == 0) rt::sleep_for(below(40));
    }
}

// Random keys, durations, errors and deadlines: at most one run of a key at a time, an answer
// belongs to its key and to a run that overlapped the question, and nobody is left waiting.
TEST(Singleflight, Simulated) {
    for_each_seed(300, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            FlightWorld world;
            Group group(nullptr);
            for (std::uint64_t f = 0; f < 10; ++f) {
                group.spawn([&world, s = seed * 100 + f] { ask_at_random(world, s); });
            }
            EXPECT_TRUE(group.wait().has_value());
        });
    });
}

}  // namespace
}  // namespace sluice::sync
