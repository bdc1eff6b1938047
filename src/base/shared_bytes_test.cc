#include "base/shared_bytes.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

void append(SharedBytesBuilder& builder, std::string_view bytes) {
    std::memcpy(builder.extend(bytes.size()), bytes.data(), bytes.size());
}

TEST(SharedBytes, AreTheSameBytesForAllHolders) {
    const SharedBytes first = SharedBytes::copy_of("event");
    // The copy is what is tested. NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
    const SharedBytes second = first;
    EXPECT_EQ(second.view(), "event");
    EXPECT_EQ(second.view().data(), first.view().data());
    EXPECT_FALSE(SharedBytes());
    EXPECT_EQ(SharedBytes().size(), 0U);
}

TEST(SharedBytesBuilder, KeepsWhatWasThereAsItGrows) {
    SharedBytesBuilder builder;
    std::string expected;
    for (int i = 0; i < 5'000; ++i) {
        const std::string part(static_cast<std::size_t>(i % 97), static_cast<char>('a' + i % 26));
        append(builder, part);
        expected += part;
    }
    EXPECT_EQ(builder.size(), expected.size());
    EXPECT_EQ(builder.finish().view(), expected);
    EXPECT_EQ(builder.size(), 0U);
    EXPECT_FALSE(builder.finish());
}

TEST(SharedBytesBuilder, TakesOnePieceOfAnySize) {
    SharedBytesBuilder builder;
    append(builder, "head");
    append(builder, std::string(1'000'000, 'x'));
    EXPECT_EQ(builder.finish().size(), 1'000'004U);
}

TEST(SharedBytesBuilder, GivesBackWhatItCountedWhenItIsDropped) {
    MemoryBudget budget(1 << 20);
    {
        SharedBytesBuilder builder(&budget);
        EXPECT_TRUE(builder.charge());
        EXPECT_EQ(budget.used(), 0U);
        append(builder, std::string(10'000, 'x'));
        EXPECT_TRUE(builder.charge());
        EXPECT_GE(budget.used(), 10'000U);
        append(builder, std::string(100'000, 'x'));
        EXPECT_TRUE(builder.charge());
        EXPECT_GE(budget.used(), 110'000U);
        append(builder, std::string(2'000'000, 'x'));
        EXPECT_FALSE(builder.charge());
        EXPECT_LT(budget.used(), 1U << 20);
    }
    EXPECT_EQ(budget.used(), 0U);
}

TEST(SharedBytesBuilder, FinishedBytesAreCountedUntilTheyAreGone) {
    MemoryBudget budget(100);
    SharedBytesBuilder builder(&budget);
    append(builder, std::string(200, 'x'));
    SharedBytes bytes = builder.finish();
    EXPECT_GE(budget.used(), 200U);
    bytes = {};
    EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace sluice
