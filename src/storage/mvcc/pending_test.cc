#include "storage/mvcc/pending.h"

#include <gtest/gtest.h>

#include <string>

#include "base/key_hash.h"

namespace sluice::storage {
namespace {

void change(Pending& pending, std::size_t keys) {
    for (std::size_t i = 0; i < keys; ++i) {
        const std::string key = "key" + std::to_string(i);
        pending.set(hash_key(key), key, pending.arena().copy("a record"));
        pending.add_log({{static_cast<Revision>(i) + 2, 0}, 0, 1});
    }
    EXPECT_EQ(pending.sorted().size(), keys);
}

TEST(Pending, GivesBackWhatALargeGroupTook) {
    Pending pending;
    change(pending, 1'000);
    pending.clear();
    const std::size_t ordinary = pending.memory_bytes();
    EXPECT_GT(ordinary, 0u);
    change(pending, 200'000);
    EXPECT_GT(pending.memory_bytes(), 200'000 * sizeof(Pending::Entry));
    pending.clear();
    // The arena keeps some blocks for the next group.
    EXPECT_LT(pending.memory_bytes(), 4u << 20);
    EXPECT_TRUE(pending.empty());
    EXPECT_EQ(pending.find(hash_key("key7"), "key7"), nullptr);
    change(pending, 10);
    EXPECT_NE(pending.find(hash_key("key7"), "key7"), nullptr);
}

}  // namespace
}  // namespace sluice::storage
