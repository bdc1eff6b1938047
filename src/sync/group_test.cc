#include "sync/group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "sync/event.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(Group, JoinsAll) {
    run_on(3, [] {
        for (int round = 0; round < 100; ++round) {
            std::atomic<int> done{0};
            Group group(nullptr);
            for (int i = 0; i < 20; ++i) group.spawn([&] { done.fetch_add(1); });
            EXPECT_TRUE(group.wait().has_value());
            EXPECT_EQ(done.load(), 20);
            EXPECT_EQ(group.running(), 0u);
        }
    });
}

TEST(Group, TheFirstErrorCancelsTheRest) {
    run_on(3, [] {
        Group group(nullptr);
        std::atomic<int> cancelled{0};
        for (int i = 0; i < 10; ++i) {
            group.spawn([&]() -> Status {
                Event never;
                Status status = never.wait(group.context());
                EXPECT_EQ(status.error().code(), Code::kCancelled);
                EXPECT_EQ(status.error().message(), "disk on fire");
                cancelled.fetch_add(1);
                return status;
            });
        }
        group.spawn([]() -> Status { return fail(Code::kDataLoss, "disk on fire"); });
        const Status status = group.wait();
        EXPECT_EQ(status.error().code(), Code::kDataLoss);
        EXPECT_EQ(cancelled.load(), 10);
        EXPECT_TRUE(group.context().ended());
    });
}

TEST(Group, EndsWithItsParent) {
    run_simulated(1, [] {
        Context parent(nullptr, deadline_after(kSecond));
        Group group(&parent);
        group.spawn([&]() -> Status {
            Event never;
            return never.wait(group.context());
        });
        EXPECT_EQ(group.wait().error().code(), Code::kDeadlineExceeded);
        EXPECT_TRUE(group.wait().has_value());  // nothing new since
    });
}

TEST(Group, LimitBoundsHowManyRun) {
    run_on(3, [] {
        std::atomic<int> running{0};
        std::atomic<int> most{0};
        Group group(nullptr, 3);
        for (int i = 0; i < 100; ++i) {
            group.spawn([&] {
                const int now = running.fetch_add(1) + 1;
                for (int seen = most.load();
                     now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                rt::yield();
                running.fetch_sub(1);
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_LE(most.load(), 3);
    });
}

TEST(Group, TrySpawnRespectsTheLimit) {
    run_simulated(2, [] {
        Event go;
        Group group(nullptr, 1);
        EXPECT_TRUE(group.try_spawn([&] { (void)go.wait(); }));
        EXPECT_FALSE(group.try_spawn([] {}));
        go.set();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_TRUE(group.try_spawn([] {}));
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST(Group, ANewLimitHoldsFromThenOn) {
    run_simulated(3, [] {
        Group group(nullptr);
        for (const std::uint64_t limit : {std::uint64_t{2}, std::uint64_t{5}, Group::kNoLimit}) {
            group.set_limit(limit);
            Event go;
            std::uint64_t started = 0;
            while (started < 8 && group.try_spawn([&] { (void)go.wait(); })) ++started;
            EXPECT_EQ(started, std::min<std::uint64_t>(limit, 8));
            go.set();
            EXPECT_TRUE(group.wait().has_value());
        }
    });
}

TEST(Group, FibersMaySpawnIntoTheirGroup) {
    run_on(3, [] {
        std::atomic<int> leaves{0};
        Group group(nullptr);
        struct Tree {
            Group& group;
            std::atomic<int>& leaves;
            void grow(int depth) {
                if (depth == 0) {
                    leaves.fetch_add(1);
                    return;
                }
                group.spawn([this, depth] { grow(depth - 1); });
                group.spawn([this, depth] { grow(depth - 1); });
            }
        } tree{group, leaves};
        tree.grow(8);
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(leaves.load(), 256);
    });
}

TEST(Group, ClosuresAreDestroyedBeforeTheJoin) {
    run_on(2, [] {
        auto alive = std::make_shared<int>(1);
        Group group(nullptr);
        for (int i = 0; i < 10; ++i) group.spawn([copy = alive] { rt::yield(); });
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(alive.use_count(), 1);
    });
}

TEST(GroupDeathTest, DestructionWithoutJoinIsAnError) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto leave_running = [] {
        Group group(nullptr);
        group.spawn([] { rt::sleep_for(kSecond); });
    };
    EXPECT_DEATH(run_on(1, leave_running), "check failed: running_ == 0");
}

}  // namespace
}  // namespace sluice::sync
