#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sluice {
namespace {

TEST(HdrHistogram, BucketsTileTheRangeWithoutGaps) {
    for (std::size_t i = 0; i < HdrHistogram::kBuckets; ++i) {
        const std::uint64_t low = HdrHistogram::lowest_of(i);
        ASSERT_EQ(HdrHistogram::bucket_of(low), i);
        if (i > 0) ASSERT_EQ(HdrHistogram::bucket_of(low - 1), i - 1);
    }
    EXPECT_EQ(HdrHistogram::bucket_of(UINT64_MAX), HdrHistogram::kBuckets - 1);
}

TEST(HdrHistogram, SmallValuesAreExact) {
    HdrHistogram histogram;
    for (std::uint64_t v = 0; v < 64; ++v) histogram.record(v);
    EXPECT_EQ(histogram.count(), 64u);
    EXPECT_EQ(histogram.percentile(50), 31u);
    EXPECT_EQ(histogram.percentile(100), 63u);
    EXPECT_EQ(histogram.count_at_most(9), 10u);
    EXPECT_EQ(histogram.sum(), 63u * 64 / 2);
}

TEST(HdrHistogram, PercentilesAreWithinTheStatedError) {
    std::mt19937_64 random(20261121);
    std::lognormal_distribution<double> latency(11, 2);
    HdrHistogram histogram;
    std::vector<std::uint64_t> values(50'000);
    for (auto& value : values) {
        value = static_cast<std::uint64_t>(latency(random));
        histogram.record(value);
    }
    std::sort(values.begin(), values.end());
    for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
        const auto rank = static_cast<std::size_t>(percent / 100 * 50'000) - 1;
        const auto exact = static_cast<double>(values[rank]);
        EXPECT_NEAR(static_cast<double>(histogram.percentile(percent)), exact, exact * 0.016 + 1)
            << percent;
    }
    EXPECT_EQ(histogram.max(), values.back());
}

TEST(HdrHistogram, MergeEqualsRecordingEverythingInOne) {
    HdrHistogram a, b, both;
    for (std::uint64_t v = 1; v < 1'000'000; v = v * 3 + 1) {
        a.record(v);
        b.record(v * 7, 2);
        both.record(v);
        both.record(v * 7, 2);
    }
    a.merge(b);
    EXPECT_EQ(a.count(), both.count());
    EXPECT_EQ(a.sum(), both.sum());
    EXPECT_EQ(a.max(), both.max());
    for (int percent = 0; percent <= 100; ++percent)
        EXPECT_EQ(a.percentile(percent), both.percentile(percent));
    a.reset();
    EXPECT_EQ(a.count(), 0u);
    EXPECT_EQ(a.percentile(99), 0u);
}

TEST(HdrHistogram, ValuesAboveTheRangeKeepMaxAndCount) {
    HdrHistogram histogram;
    histogram.record(std::uint64_t{1} << 50);
    EXPECT_EQ(histogram.count(), 1u);
    EXPECT_EQ(histogram.percentile(50), std::uint64_t{1} << 50);
}

}  // namespace
}  // namespace sluice
