#include "sync/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

// Cannot be copied.
struct Record {
    explicit Record(int its_number) : number(std::make_unique<int>(its_number)) {}
    std::unique_ptr<int> number;
};

TEST(Pipeline, EveryItemPassesEveryStageOnce) {
    run_on(3, [] {
        constexpr int kItems = 3'000;
        Channel<int> numbers(16);
        Channel<Record> parsed(16);
        Channel<Record> verified(16);
        std::vector<int> persisted;
        Pipeline pipeline(nullptr);
        pipeline.stage("parse", numbers, 2, parsed,
                       [](int&& number) -> Result<Record> { return Record(number); });
        pipeline.stage("verify", parsed, 4, verified,
                       [&](Record&& record) -> Result<std::optional<Record>> {
                           if (*record.number % 3 == 0) return std::nullopt;
                           return std::move(record);
                       });
        pipeline.sink("persist", verified, 1, [&](Record&& record) -> Status {
            persisted.push_back(*record.number);
            return {};
        });
        for (int i = 0; i < kItems; ++i) {
            ASSERT_TRUE(numbers.send(int(i), pipeline.context()).has_value());
        }
        numbers.close();
        EXPECT_TRUE(pipeline.wait().has_value());
        std::sort(persisted.begin(), persisted.end());
        std::vector<int> expected;
        for (int i = 0; i < kItems; ++i) {
            if (i % 3 != 0) expected.push_back(i);
        }
        EXPECT_EQ(persisted, expected);
        EXPECT_TRUE(parsed.closed() && verified.closed());
    });
}

TEST(Pipeline, OneFiberAStageKeepsTheOrderAndTheItemItself) {
    run_simulated(1, [] {
        Channel<Record> in(2);
        Channel<Record> out(2);
        std::vector<const int*> sent;
        std::vector<Record> arrived;
        Pipeline pipeline(nullptr);
        pipeline.stage("pass", in, 1, out,
                       [](Record&& record) -> Result<Record> { return std::move(record); });
        pipeline.sink("take", out, 1, [&](Record&& record) -> Status {
            arrived.push_back(std::move(record));
            return {};
        });
        for (int i = 0; i < 100; ++i) {
            Record record(i);
            sent.push_back(record.number.get());
            ASSERT_TRUE(in.send(std::move(record), pipeline.context()).has_value());
            rt::yield();
        }
        in.close();
        EXPECT_TRUE(pipeline.wait().has_value());
        ASSERT_EQ(arrived.size(), 100u);
        for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(arrived[i].number.get(), sent[i]);
    });
}

// A stage that stands still holds up the feeder: never more items inside than the channels and
// the fibers can hold.
TEST(Pipeline, IsBounded) {
    run_simulated(2, [] {
        Channel<int> in(4);
        Channel<int> out(4);
        Event go;
        Pipeline pipeline(nullptr);
        pipeline.stage("pass", in, 2, out, [](int&& n) -> Result<int> { return n; });
        pipeline.sink("stuck", out, 1, [&](int&&) { return go.wait(pipeline.context()); });
        int fed = 0;
        Group feeder(nullptr);
        feeder.spawn([&] {
            while (fed < 100 && in.send(int(fed), pipeline.context())) ++fed;
            in.close();
        });
        rt::sleep_for(kSecond);
        EXPECT_EQ(fed, 4 + 2 + 4 + 1);
        go.set();
        EXPECT_TRUE(feeder.wait().has_value());
        EXPECT_TRUE(pipeline.wait().has_value());
        EXPECT_EQ(fed, 100);
    });
}

TEST(Pipeline, TheFirstErrorEndsAllStagesAndTheFeeder) {
    run_simulated(3, [] {
        const auto alive = std::make_shared<int>(0);
        {
            Channel<std::shared_ptr<int>> in(2);
            Channel<std::shared_ptr<int>> middle(2);
            int seen = 0;
            Pipeline pipeline(nullptr);
            pipeline.stage("pass", in, 3, middle,
                           [](std::shared_ptr<int>&& item) -> Result<std::shared_ptr<int>> {
                               return std::move(item);
                           });
            pipeline.sink("persist", middle, 1, [&](std::shared_ptr<int>&&) -> Status {
                if (++seen == 5) return fail(Code::kResourceExhausted, "disk full");
                return {};
            });
            Status fed;
            while (fed) fed = in.send(std::shared_ptr<int>(alive), pipeline.context());
            EXPECT_EQ(fed.error().message(), "disk full");
            EXPECT_EQ(pipeline.wait().error().code(), Code::kResourceExhausted);
            EXPECT_EQ(seen, 5);
        }
        EXPECT_EQ(alive.use_count(), 1);
    });
}

// Random stages, errors and cancels: with a good end every item has come through, else the status
// says why; no item is doubled or leaks, and nobody is left behind.
TEST(Pipeline, Simulated) {
    for_each_seed(300, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            std::mt19937_64 random(seed);
            const auto alive = std::make_shared<int>(0);
            {
                using Item = std::pair<int, std::shared_ptr<int>>;
                Channel<Item> a(random() % 4);
                Channel<Item> b(random() % 4);
                Channel<Item> c(random() % 4);
                std::vector<int> seen(40);
                const bool fails = random() % 3 == 0;
                Context parent(nullptr, random() % 3 == 0
                                            ? deadline_after(static_cast<TimeNs>(random() % 500))
                                            : kNever);
                Pipeline pipeline(&parent);
                const auto work = [&](Item&& item) -> Result<Item> {
                    if (random() % 3 == 0) rt::sleep_for(static_cast<TimeNs>(random() % 30));
                    if (fails && random() % 60 == 0) return fail(Code::kAborted, "bad luck");
                    return std::move(item);
                };
                pipeline.stage("1", a, 1 + static_cast<unsigned>(random() % 3), b, work);
                pipeline.stage("2", b, 1 + static_cast<unsigned>(random() % 3), c, work);
                pipeline.sink("3", c, 1, [&](Item&& item) -> Status {
                    ++seen[item.first];
                    return {};
                });
                for (int i = 0; i < 40; ++i) {
                    if (!a.send({i, alive}, pipeline.context())) break;
                }
                a.close();
                const Status status = pipeline.wait();
                const int most = *std::max_element(seen.begin(), seen.end());
                EXPECT_LE(most, 1);
                if (status) EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 40);
            }
            EXPECT_EQ(alive.use_count(), 1);
        });
    });
}

}  // namespace
}  // namespace sluice::sync
