#include "base/key_hash.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <unordered_set>

namespace sluice {
namespace {

TEST(KeyHash, DependsOnEveryByteAndTheLength) {
    std::unordered_set<std::size_t> hashes;
    std::string key;
    for (int i = 0; i < 300; ++i) {
        EXPECT_TRUE(hashes.insert(hash_key(key)).second) << "length " << i;
        key.push_back('\0');
    }
    for (char& byte : key) {
        byte = 1;
        EXPECT_TRUE(hashes.insert(hash_key(key)).second);
        byte = 0;
    }
}

// The table in watcher_index.cc and the shards of the hot cache take the low bits.
TEST(KeyHash, SpreadsNumberedKeysOverBuckets) {
    std::array<int, 64> buckets = {};
    for (int i = 0; i < 64'000; ++i)
        ++buckets[hash_key("/registry/pods/default/pod-" + std::to_string(i)) % 64];
    for (const int count : buckets) {
        EXPECT_GT(count, 800);
        EXPECT_LT(count, 1200);
    }
}

// The child is a new process image: its secret is another one.
TEST(KeyHash, IsAnotherFunctionInAnotherProcess) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const std::string mine = std::to_string(hash_key("key"));
    ::setenv("SLUICE_TEST_PARENT_HASH", mine.c_str(), 0);  // the child keeps its parent's
    EXPECT_EXIT(std::exit(mine == std::getenv("SLUICE_TEST_PARENT_HASH") ? 1 : 0),
                testing::ExitedWithCode(0), "");
    ::unsetenv("SLUICE_TEST_PARENT_HASH");
}

}  // namespace
}  // namespace sluice
