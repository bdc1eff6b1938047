#include "bench/key_chooser.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::bench {
namespace {

std::vector<std::uint64_t> count(KeyChooser chooser, std::uint64_t keys, int draws) {
    std::vector<std::uint64_t> counts(keys);
    for (int i = 0; i < draws; ++i) ++counts.at(chooser.next());
    return counts;
}

TEST(KeyChooser, UniformReachesEveryKeyAlike) {
    for (const auto n : count(KeyChooser(KeyOrder::kUniform, 10, 1), 10, 10'000)) {
        EXPECT_GT(n, 850u);
        EXPECT_LT(n, 1'150u);
    }
}

TEST(KeyChooser, SequentialClientsShareTheKeys) {
    std::vector<std::uint64_t> counts(10);
    for (std::uint64_t client = 0; client < 2; ++client) {
        KeyChooser chooser(KeyOrder::kSequential, 10, 1, client, 2);
        for (int i = 0; i < 5; ++i) ++counts.at(chooser.next());
    }
    for (const auto n : counts) EXPECT_EQ(n, 1u);
}

TEST(KeyChooser, ZipfianPrefersTheFirstKeys) {
    const auto counts = count(KeyChooser(KeyOrder::kZipfian, 1'000, 7), 1'000, 100'000);
    // With theta 0.99 and 1,000 keys the first one has 1/zeta = 12.9% of the draws.
    EXPECT_NEAR(static_cast<double>(counts[0]), 12'900, 600);
    EXPECT_GT(counts[0], counts[10]);
    EXPECT_GT(counts[10], counts[500]);
    EXPECT_GT(counts[999] + counts[998] + counts[997], 0u);
}

TEST(AppendKey, PadsAndNeverCuts) {
    Options options;
    options.key_prefix = "p/";
    options.key_bytes = 6;
    std::string key;
    append_key(key, options, 42);
    EXPECT_EQ(key, "p/0042");
    key.clear();
    append_key(key, options, 1'234'567);
    EXPECT_EQ(key, "p/1234567");
    key.clear();
    append_key(key, options, 0);
    EXPECT_EQ(key, "p/0000");
}

}  // namespace
}  // namespace sluice::bench
