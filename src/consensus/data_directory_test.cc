#include "consensus/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_dir_testing.h"
#include "io/posix_file_system.h"
#include "storage/wal/fault_file_testing.h"

namespace sluice::consensus {
namespace {

using storage::FaultFileSystem;
using testing::HasSubstr;

constexpr DataDirectory::Identity kFirst{.member_id = 0xabc, .cluster_id = 0xdef};
constexpr DataDirectory::Identity kOther{.member_id = 1, .cluster_id = 2};

Result<std::unique_ptr<DataDirectory>> open_durably(FaultFileSystem& fs, const std::string& dir,
                                                    DataDirectory::Identity if_new) {
    SLUICE_TRY_ASSIGN(auto data, DataDirectory::open(fs, dir, if_new));
    SLUICE_TRY(data->make_durable());
    return data;
}

TEST(DataDirectory, IdentityIsWrittenOnceAndKept) {
    FaultFileSystem fs(1);
    {
        auto data = open_durably(fs, "data/", kFirst);
        ASSERT_TRUE(data.has_value()) << data.error().message();
        EXPECT_TRUE((*data)->created());
        EXPECT_EQ((*data)->identity(), kFirst);
        EXPECT_EQ((*data)->wal_dir(), "data/wal");
    }
    fs.power_loss();
    auto data = open_durably(fs, "data", kOther);
    ASSERT_TRUE(data.has_value());
    EXPECT_FALSE((*data)->created());
    EXPECT_EQ((*data)->identity(), kFirst);
}

TEST(DataDirectory, SecondOwnerIsRefused) {
    FaultFileSystem fs(1);
    auto data = open_durably(fs, "data", kFirst);
    ASSERT_TRUE(data.has_value());
    auto second = open_durably(fs, "data", kFirst);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(second.error().message(),
                HasSubstr("another process uses the data directory data"));
    data->reset();
    EXPECT_TRUE(open_durably(fs, "data", kFirst).has_value());
}

TEST(DataDirectory, DamageNewerVersionsAndLossAreTold) {
    FaultFileSystem fs(1);
    ASSERT_TRUE(open_durably(fs, "data", kFirst).has_value());
    const std::string good = fs.contents("data/MEMBER");
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
        fs.flip_bit("data/MEMBER", byte, 2);
        EXPECT_FALSE(open_durably(fs, "data", kOther).has_value()) << byte;
        fs.overwrite("data/MEMBER", 0, good);
    }
    fs.overwrite("data/MEMBER", 14, "9");
    auto newer = open_durably(fs, "data", kOther);
    ASSERT_FALSE(newer.has_value());
    EXPECT_EQ(newer.error().code(), Code::kFailedPrecondition);
    EXPECT_THAT(newer.error().message(), HasSubstr("format version 9"));
    ASSERT_TRUE(fs.remove("data/MEMBER").has_value());
    ASSERT_TRUE(fs.open("data/wal/0000000000000001.wal", io::OpenMode::kCreate).has_value());
    EXPECT_EQ(open_durably(fs, "data", kOther).error().code(), Code::kDataLoss);
}

// A crash may keep the name of wal/ and lose that of MEMBER: nothing was logged by then.
TEST(DataDirectory, AnEmptyLogIsNoLog) {
    FaultFileSystem fs(1);
    ASSERT_TRUE(fs.create_dir("data").has_value());
    ASSERT_TRUE(fs.create_dir("data/wal").has_value());
    auto data = open_durably(fs, "data", kOther);
    ASSERT_TRUE(data.has_value()) << data.error().message();
    EXPECT_TRUE((*data)->created());
}

TEST(DataDirectory, MissingParentsAreCreated) {
    const TemporaryDir temporary;
    const auto fs = io::make_posix_file_system();
    auto data = DataDirectory::open(*fs, temporary.path("a/b/data"), kFirst);
    ASSERT_TRUE(data.has_value()) << data.error().message();
    ASSERT_TRUE((*data)->make_durable().has_value());
    EXPECT_TRUE(*fs->exists(temporary.path("a/b/data/MEMBER")));
}

TEST(DataDirectory, ALogElsewhereLeavesNoFolderHere) {
    FaultFileSystem fs(1);
    auto data = DataDirectory::open(fs, "data", kFirst);
    ASSERT_TRUE(data.has_value() && (*data)->make_durable(false).has_value());
    EXPECT_FALSE(*fs.exists("data/wal"));
}

// Whatever is lost in a crash while the file is made: the next start makes it, or finds it whole.
TEST(DataDirectory, CreationIsAtomic) {
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        FaultFileSystem fs(seed);
        fs.fail_after(FaultFileSystem::Call::kAny, seed % 9, Error(Code::kInternal, "injected"));
        const bool first = open_durably(fs, "data", kFirst).has_value();
        fs.power_loss();
        auto data = open_durably(fs, "data", kOther);
        ASSERT_TRUE(data.has_value()) << seed << ": " << data.error().message();
        if (first)
            ASSERT_EQ((*data)->identity(), kFirst) << seed;
        else
            ASSERT_TRUE((*data)->identity() == kFirst || (*data)->identity() == kOther) << seed;
    }
}

}  // namespace
}  // namespace sluice::consensus
