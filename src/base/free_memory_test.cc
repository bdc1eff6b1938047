#include "base/free_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

namespace {

constexpr long kUsualDelay = 25;
std::atomic<long> delay = kUsualDelay;

}  // namespace

// The test is linked without mimalloc; these stand for its options.
extern "C" long mi_option_get(int /*option*/) {
    return delay;
}
extern "C" void mi_option_set(int /*option*/, long value) {
    delay = value;
}

namespace sluice {
namespace {

TEST(FreeMemory, FreesArePromptUntilTheLastScopeEnds) {
    std::optional<PromptFrees> first(std::in_place);
    std::optional<PromptFrees> second(std::in_place);
    EXPECT_EQ(delay, 0);
    first.reset();
    EXPECT_EQ(delay, 0);
    second.reset();
    EXPECT_EQ(delay, kUsualDelay);
    first.emplace();
    EXPECT_EQ(delay, 0);
    first.reset();
    EXPECT_EQ(delay, kUsualDelay);
}

}  // namespace
}  // namespace sluice
