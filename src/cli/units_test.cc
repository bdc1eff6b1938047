#include "cli/units.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

TEST(Duration, IsReadAsGoWritesIt) {
    EXPECT_EQ(parse_duration("10m").value(), 600 * kSecond);
    EXPECT_EQ(parse_duration("1h30m").value(), 5400 * kSecond);
    EXPECT_EQ(parse_duration("1.5s").value(), 1500 * kMillisecond);
    EXPECT_EQ(parse_duration("100ms").value(), 100 * kMillisecond);
    EXPECT_EQ(parse_duration("0").value(), 0);
    for (const char* bad : {"", "10", "m", "-5s", "1x", "5m3", "99999999999h"}) {
        EXPECT_FALSE(parse_duration(bad).has_value()) << bad;
    }
}

TEST(Bytes, TakeBinaryUnits) {
    EXPECT_EQ(parse_bytes("1572864").value(), 1572864u);
    EXPECT_EQ(parse_bytes("96MiB").value(), 96u << 20);
    EXPECT_EQ(parse_bytes("2G").value(), 2ull << 30);
    EXPECT_EQ(parse_bytes("4kb").value(), 4096u);
    for (const char* bad : {"", "MiB", "-1", "1X", "1MiBs", "99999999999999999T"}) {
        EXPECT_FALSE(parse_bytes(bad).has_value()) << bad;
    }
}

}  // namespace
}  // namespace sluice::cli
