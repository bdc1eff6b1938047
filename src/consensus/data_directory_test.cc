#include "consensus/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/wal/fault_file_testing.h"

namespace sluice::consensus {
namespace {

using storage::FaultFileSystem;
using testing::HasSubstr;

constexpr DataDirectory::Identity kFirst{.member_id = 0xabc, .cluster_id = 0xdef};
constexpr DataDirectory::Identity kOther{.member_id = 1, .cluster_id = 2};

TEST(DataDirectory, IdentityIsWrittenOnceAndKept) {
    FaultFileSystem fs(1);
    {
        auto data = DataDirectory::open(fs, "data/", kFirst);
        ASSERT_TRUE(data.has_value()) << data.error().message();
        EXPECT_TRUE((*data)->created());
        EXPECT_EQ((*data)->identity(), kFirst);
        EXPECT_EQ((*data)->wal_dir(), "data/wal");
    }
    fs.power_loss();
    auto data = DataDirectory::open(fs, "data", kOther);
    ASSERT_TRUE(data.has_value());
    EXPECT_FALSE((*data)->created());
    EXPECT_EQ((*data)->identity(), kFirst);
}

TEST(DataDirectory, SecondOwnerIsRefused) {
    FaultFileSystem fs(1);
    auto data = DataDirectory::open(fs, "data", kFirst);
    ASSERT_TRUE(data.has_value());
    auto second = DataDirectory::open(fs, "data", kFirst);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(second.error().message(),
                HasSubstr("another process uses the data directory data"));
    data->reset();
    EXPECT_TRUE(DataDirectory::open(fs, "data", kFirst).has_value());
}

TEST(DataDirectory, DamageNewerVersionsAndLossAreTold) {
    FaultFileSystem fs(1);
    ASSERT_TRUE(DataDirectory::open(fs, "data", kFirst).has_value());
    const std::string good = fs.contents("data/MEMBER");
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
        fs.flip_bit("data/MEMBER", byte, 2);
        EXPECT_FALSE(DataDirectory::open(fs, "data", kOther).has_value()) << byte;
        fs.overwrite("data/MEMBER", 0, good);
    }
    fs.overwrite("data/MEMBER", 14, "9");
    auto newer = DataDirectory::open(fs, "data", kOther);
    ASSERT_FALSE(newer.has_value());
    EXPECT_EQ(newer.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(newer.error().message(), HasSubstr("format version 9"));
    ASSERT_TRUE(fs.remove("data/MEMBER").has_value());
    ASSERT_TRUE(fs.create_dir("data/wal").has_value());
    EXPECT_EQ(DataDirectory::open(fs, "data", kOther).error().code(), Code::kDataLoss);
}

// Whatever is lost in a crash while the file is made: the next start makes it, or finds it whole.
TEST(DataDirectory, CreationIsAtomic) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        FaultFileSystem fs(seed);
        fs.fail_after(FaultFileSystem::Call::kAny, seed % 6, Error(Code::kInternal, "injected"));
        const bool first = DataDirectory::open(fs, "data", kFirst).has_value();
        fs.power_loss();
        auto data = DataDirectory::open(fs, "data", kOther);
        ASSERT_TRUE(data.has_value()) << seed << ": " << data.error().message();
        if (first)
            ASSERT_EQ((*data)->identity(), kFirst) << seed;
        else
            ASSERT_TRUE((*data)->identity() == kFirst || (*data)->identity() == kOther) << seed;
    }
}

}  // namespace
}  // namespace sluice::consensus
