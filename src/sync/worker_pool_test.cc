#include "sync/worker_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "rt/blocking.h"
#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(WorkerPool, RunsEveryJobOnce) {
    run_on(3, [] {
        std::vector<std::atomic<int>> runs(5'000);
        WorkerPool pool(nullptr, {.workers = 4, .queue = 32});
        for (auto& count : runs) {
            ASSERT_TRUE(pool.submit([&count](const Context&) { count.fetch_add(1); }).has_value());
        }
        EXPECT_TRUE(pool.drain().has_value());
        for (auto& count : runs) EXPECT_EQ(count.load(), 1);
        const auto stats = pool.stats();
        EXPECT_EQ(stats.submitted, 5'000u);
        EXPECT_EQ(stats.completed, 5'000u);
        EXPECT_EQ(stats.dropped, 0u);
        EXPECT_EQ(pool.submit([](const Context&) {}).error().code(), Code::kFailedPrecondition);
    });
}

TEST(WorkerPool, BoundsWorkersAndQueue) {
    run_simulated(1, [] {
        Event go;
        int running = 0;
        int most = 0;
        WorkerPool pool(nullptr, {.workers = 3, .queue = 5});
        const auto job = [&](const Context&) {
            most = std::max(most, ++running);
            (void)go.wait();
            --running;
        };
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.submit(job).has_value());
        rt::sleep_for(kMicrosecond);  // the workers have taken them
        for (int i = 0; i < 5; ++i) EXPECT_TRUE(pool.try_submit(job).has_value());
        EXPECT_EQ(pool.try_submit(job).error().code(), Code::kResourceExhausted);
        EXPECT_EQ(pool.stats().queued, 5u);
        // One that waits for a place gives up with its own context.
        Context hurried(nullptr, deadline_after(kMillisecond));
        EXPECT_EQ(pool.submit(job, hurried).error().code(), Code::kDeadlineExceeded);
        go.set();
        EXPECT_TRUE(pool.drain().has_value());
        EXPECT_EQ(most, 3);
        EXPECT_EQ(pool.stats().completed, 8u);
    });
}

TEST(WorkerPool, FirstErrorDropsWhatWaitsAndWakesSubmitters) {
    run_simulated(2, [] {
        const auto alive = std::make_shared<int>(1);
        WorkerPool pool(nullptr, {.workers = 2, .queue = 4});
        Group submitters(nullptr);
        Event go;
        ASSERT_TRUE(pool.submit([&](const Context&) -> Status {
                            (void)go.wait();
                            return fail(Code::kDataLoss, "torn page");
                        })
                        .has_value());
        ASSERT_TRUE(pool.submit([&](const Context& context) -> Status {
                            Event never;
                            return never.wait(context);  // its error comes second
                        })
                        .has_value());
        rt::sleep_for(kMicrosecond);
        int refused = 0;
        for (int i = 0; i < 10; ++i) {
            submitters.spawn([&] {
                const Status sent =
                    pool.submit([alive](const Context&) { ADD_FAILURE() << "must not run"; });
                if (sent) return;
                EXPECT_EQ(sent.error().code(), Code::kCancelled);
                EXPECT_EQ(sent.error().message(), "torn page");
                ++refused;
            });
        }
        rt::sleep_for(kMicrosecond);
        go.set();
        EXPECT_TRUE(submitters.wait().has_value());
        const Status drained = pool.drain();
        EXPECT_EQ(drained.error().code(), Code::kDataLoss);
        EXPECT_EQ(refused, 6);
        EXPECT_EQ(pool.stats().dropped, 4u);
        EXPECT_EQ(alive.use_count(), 1);
    });
}

TEST(WorkerPool, CancelSaysSoIfJobsWereDropped) {
    run_simulated(3, [] {
        WorkerPool pool(nullptr, {.workers = 1, .queue = 4});
        Event started;
        (void)pool.submit([&](const Context& context) {
            started.set();
            Event never;
            EXPECT_EQ(never.wait(context).error().message(), "shutting down");
        });
        EXPECT_TRUE(started.wait().has_value());
        (void)pool.submit([](const Context&) { ADD_FAILURE(); });
        pool.cancel("shutting down");
        EXPECT_EQ(pool.submit([](const Context&) {}).error().code(), Code::kCancelled);
        EXPECT_EQ(pool.drain().error().message(), "shutting down");
    });
}

TEST(WorkerPool, EndsWithItsParentsDeadline) {
    run_simulated(4, [] {
        Context parent(nullptr, deadline_after(kSecond));
        WorkerPool pool(&parent, {.workers = 1, .queue = 4});
        (void)pool.submit([&](const Context& context) {
            Event never;
            (void)never.wait(context);
        });
        (void)pool.submit([](const Context&) { ADD_FAILURE(); });
        EXPECT_EQ(pool.drain().error().code(), Code::kDeadlineExceeded);
    });
}

TEST(WorkerPool, BatchesRunOnBlockingThreads) {
    run_on(2, [] {
        std::atomic<int> on_fibers{0};
        std::atomic<int> runs{0};
        std::atomic<bool> full{false};  // until then no job ends, so there is a batch to take
        WorkerPool pool(nullptr, {.workers = 2, .queue = 64, .blocking_batch = 16});
        const auto job = [&](const Context&) {
            while (!full) std::this_thread::yield();
            if (rt::current() != nullptr) on_fibers.fetch_add(1);
            runs.fetch_add(1);
        };
        for (int i = 0; i < 2'000; ++i) {
            if (!full && pool.try_submit(job)) continue;
            full = true;
            ASSERT_TRUE(pool.submit(job).has_value());
        }
        EXPECT_TRUE(pool.drain().has_value());
        EXPECT_EQ(runs.load(), 2'000);
        EXPECT_EQ(on_fibers.load(), 0);
        EXPECT_LT(rt::Runtime::current().blocking_pool().stats().jobs, 2'000u);
    });
}

TEST(WorkerPool, AnErrorInABatchDropsItsRest) {
    run_simulated(5, [] {
        int runs = 0;
        WorkerPool pool(nullptr, {.workers = 1, .queue = 16, .blocking_batch = 16});
        for (int i = 0; i < 10; ++i) {
            ASSERT_TRUE(pool.try_submit([&runs, i](const Context&) -> Status {
                                ++runs;
                                if (i == 3) return fail(Code::kAborted, "the fourth");
                                return {};
                            })
                            .has_value());
        }
        EXPECT_EQ(pool.drain().error().message(), "the fourth");
        EXPECT_EQ(runs, 4);
        EXPECT_EQ(pool.stats().dropped, 6u);
    });
}

// Whatever ends the pool and whenever: each accepted job is run once or dropped, its closure is
// destroyed, and no fiber is left.
TEST(WorkerPool, Simulated) {
    for_each_seed(300, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            std::mt19937_64 random(seed);
            const auto alive = std::make_shared<int>(0);
            std::uint64_t ran = 0;
            std::uint64_t accepted = 0;
            Context parent(nullptr, random() % 2 == 0
                                        ? deadline_after(static_cast<TimeNs>(random() % 400))
                                        : kNever);
            WorkerPool pool(&parent, {.workers = 1 + static_cast<unsigned>(random() % 4),
                                      .queue = 1 + random() % 8,
                                      .blocking_batch = static_cast<unsigned>(random() % 3)});
            Group submitters(nullptr);
            for (int f = 0; f < 4; ++f) {
                submitters.spawn([&, s = random()] {
                    std::mt19937_64 own(s);
                    for (int i = 0; i < 20; ++i) {
                        Context context(nullptr,
                                        own() % 3 == 0
                                            ? deadline_after(static_cast<TimeNs>(own() % 60))
                                            : kNever);
                        const auto job = [&ran, alive, n = own()](const Context&) -> Status {
                            ++ran;
                            if (n % 50 == 0) return fail(Code::kAborted, "bad luck");
                            return {};
                        };
                        const Status taken =
                            own() % 3 == 0 ? pool.try_submit(job) : pool.submit(job, context);
                        if (taken) ++accepted;
                        if (own() % 3 == 0) rt::sleep_for(static_cast<TimeNs>(own() % 40));
                    }
                });
            }
            if (random() % 3 == 0) {
                rt::sleep_for(static_cast<TimeNs>(random() % 200));
                pool.cancel();
            }
            EXPECT_TRUE(submitters.wait().has_value());
            const Status status = pool.drain();
            const auto stats = pool.stats();
            EXPECT_EQ(stats.submitted, accepted);
            EXPECT_EQ(stats.completed, ran);
            EXPECT_EQ(stats.completed + stats.dropped, accepted);
            EXPECT_EQ(stats.queued, 0u);
            if (status) EXPECT_EQ(stats.dropped, 0u);
            EXPECT_EQ(alive.use_count(), 1);
        });
    });
}

}  // namespace
}  // namespace sluice::sync
