#include "base/inline_function.h"

#include <gtest/gtest.h>

#include <memory>

namespace sluice {
namespace {

using Job = InlineFunction<int(int), 32>;

TEST(InlineFunction, CallsAndMoves) {
    auto owned = std::make_unique<int>(5);
    Job job([owned = std::move(owned)](int more) { return *owned + more; });
    EXPECT_EQ(job(1), 6);
    Job moved(std::move(job));
    EXPECT_FALSE(static_cast<bool>(job));  // NOLINT(bugprone-use-after-move): promised to be empty
    EXPECT_EQ(moved(2), 7);
    Job assigned;
    EXPECT_FALSE(static_cast<bool>(assigned));
    assigned = std::move(moved);
    EXPECT_EQ(assigned(3), 8);
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it cannot see through the erased destructor

TEST(InlineFunction, DestroysItsClosureOnce) {
    const auto alive = std::make_shared<int>(1);
    {
        Job a([alive](int n) { return n + *alive; });
        EXPECT_EQ(alive.use_count(), 2);
        Job b([alive](int n) { return n - *alive; });
        EXPECT_EQ(alive.use_count(), 3);
        a = std::move(b);
        EXPECT_EQ(alive.use_count(), 2);
        EXPECT_EQ(a(3), 2);
        a.reset();
        EXPECT_EQ(alive.use_count(), 1);
        EXPECT_FALSE(static_cast<bool>(a));
        a = Job([alive](int n) { return n; });
    }
    EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace sluice
