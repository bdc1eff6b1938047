#include "sync/context_value.h"

#include <gtest/gtest.h>

#include <string>

#include "sync/event.h"
#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

constexpr ContextKey<int> kTenant;
constexpr ContextKey<int> kShard;
constexpr ContextKey<std::string> kRequest;

TEST(ContextValue, TheNearestAncestorsValueWins) {
    Context root(nullptr);
    EXPECT_EQ(value_of(root, kTenant), nullptr);
    EXPECT_EQ(value_of(Context::background(), kTenant), nullptr);
    const ContextValue tenant(&root, kTenant, 7);
    Context between(&tenant);
    const ContextValue request(&between, kRequest, std::string("r-1"));
    {
        const ContextValue other(&request, kTenant, 8);
        EXPECT_EQ(*value_of(other, kTenant), 8);
        EXPECT_EQ(*value_of(other, kRequest), "r-1");
        EXPECT_EQ(value_of(other, kShard), nullptr);
    }
    EXPECT_EQ(*value_of(request, kTenant), 7);
    EXPECT_EQ(*value_of(between, kTenant), 7);
    EXPECT_EQ(value_of(between, kRequest), nullptr);
    EXPECT_EQ(value_of(root, kTenant), nullptr);
}

TEST(ContextValue, EndsWithItsParentAndReachesGroups) {
    run_simulated(1, [] {
        Context root(nullptr, deadline_after(kSecond));
        const ContextValue request(&root, kRequest, std::string("r-2"));
        EXPECT_EQ(request.deadline_ns(), root.deadline_ns());
        Group group(&request);
        for (int i = 0; i < 3; ++i) {
            group.spawn([&]() -> Status {
                EXPECT_EQ(*value_of(group.context(), kRequest), "r-2");
                Event never;
                return never.wait(group.context());
            });
        }
        EXPECT_EQ(group.wait().error().code(), Code::kDeadlineExceeded);
        EXPECT_TRUE(request.ended());
    });
}

TEST(ContextValue, UnderTheBackground) {
    const ContextValue tenant(&Context::background(), kTenant, 3);
    const Context child(&tenant);
    EXPECT_EQ(*value_of(child, kTenant), 3);
    EXPECT_FALSE(child.ended());
}

}  // namespace
}  // namespace sluice::sync
