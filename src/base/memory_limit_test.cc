#include "base/memory_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/free_memory.h"
#include "base/limits.h"

namespace sluice {
namespace {

constexpr std::size_t kMiB = 1 << 20;

struct CountingCache final : MemoryLimit::Cache {
    void shrink() noexcept override { ++shrinks; }
    std::atomic<int> shrinks = 0;
};

class MemoryLimitTest : public testing::Test {
  protected:
    MemoryLimitTest() {
        limit_.add(first_);
        limit_.add(second_);
    }
    ~MemoryLimitTest() override {
        limit_.remove(first_);
        limit_.remove(second_);
    }

    std::size_t resident_ = 50 * kMiB;
    MemoryLimit limit_{100 * kMiB, [this] { return resident_; }};
    CountingCache first_;
    CountingCache second_;
};

TEST_F(MemoryLimitTest, BelowTheLimitNobodyIsAsked) {
    EXPECT_FALSE(limit_.look(0, false));
    resident_ = 100 * kMiB;
    EXPECT_FALSE(limit_.look(1, false));
    EXPECT_EQ(limit_.epoch(), 0U);
    EXPECT_EQ(first_.shrinks, 0);
}

TEST_F(MemoryLimitTest, OverTheLimitAllAreAskedWithGrowingPauses) {
    resident_ = 101 * kMiB;
    TimeNs now_ns = 1;
    EXPECT_TRUE(limit_.look(now_ns, false));
    EXPECT_EQ(limit_.epoch(), 1U);
    EXPECT_EQ(first_.shrinks, 1);
    EXPECT_EQ(second_.shrinks, 1);
    now_ns += limits::kMemoryPauseMinNs - 1;
    EXPECT_FALSE(limit_.look(now_ns, false));
    EXPECT_TRUE(limit_.look(++now_ns, false));
    EXPECT_FALSE(limit_.look(now_ns + limits::kMemoryPauseMinNs, false));
    EXPECT_TRUE(limit_.look(now_ns + 2 * limits::kMemoryPauseMinNs, false));
    EXPECT_EQ(first_.shrinks, 3);

    // Back below, then over again: at once.
    resident_ = 99 * kMiB;
    now_ns += 2 * limits::kMemoryPauseMinNs + 1;
    EXPECT_FALSE(limit_.look(now_ns, false));
    resident_ = 101 * kMiB;
    EXPECT_TRUE(limit_.look(now_ns + 1, false));
}

TEST_F(MemoryLimitTest, AfterABurstAQuietProcessShrinksAndOnceMoreLater) {
    EXPECT_FALSE(limit_.look(1, true));
    resident_ = 90 * kMiB;
    EXPECT_FALSE(limit_.look(2, false));  // not while it goes on
    EXPECT_TRUE(limit_.look(3, true));
    EXPECT_FALSE(limit_.look(4, true));  // what is left is in use
    EXPECT_EQ(first_.shrinks, 1);
    EXPECT_TRUE(limit_.unfinished());
    EXPECT_TRUE(limit_.look(3 + limits::kMemoryAgainNs, true));
    EXPECT_EQ(first_.shrinks, 2);
    EXPECT_FALSE(limit_.unfinished());
    constexpr TimeNs kLater = 2 * limits::kMemoryAgainNs;
    resident_ = 60 * kMiB;  // the workers' part
    EXPECT_FALSE(limit_.look(kLater, true));
    resident_ = 95 * kMiB;
    EXPECT_TRUE(limit_.look(kLater + 1, true));
}

TEST_F(MemoryLimitTest, ARemovedCacheIsNotAsked) {
    CountingCache third;
    limit_.add(third);
    limit_.shrink_here();
    limit_.remove(third);
    limit_.shrink_here();
    EXPECT_EQ(third.shrinks, 1);
    EXPECT_EQ(first_.shrinks, 2);
}

TEST(ResidentBytes, FollowsWhatIsTouched) {
    constexpr std::size_t kBytes = 64 * kMiB;
    const std::size_t before = resident_bytes();
    EXPECT_GT(before, 0U);
    auto block = std::make_unique<std::vector<char>>(kBytes, 'x');
    const std::size_t with = resident_bytes();
    EXPECT_GT(with, before + kBytes * 3 / 4);
    block.reset();
    return_free_memory();
    // A sanitizer keeps freed memory for a while.
    EXPECT_LE(resident_bytes(), with + kBytes / 4);
}

}  // namespace
}  // namespace sluice
