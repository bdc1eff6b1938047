#include "storage/wal/wal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/temporary_dir_testing.h"
#include "io/posix_file_system.h"
#include "storage/wal/fault_file_testing.h"
#include "storage/wal/format.h"
#include "storage/wal/recovery.h"

namespace sluice::storage {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kBlock = wal::kBlockBytes;

class WalTest : public testing::Test {
  protected:
    WalTest() {
        options_.dir = "wal";
        options_.segment_bytes = 8 * kBlock;
        options_.first_segment_bytes = 8 * kBlock;
        options_.prepare_in_background = false;
        reopen();
    }

    void reopen() {
        wal_.reset();
        auto opened = Wal::open(fs_, options_);
        ASSERT_TRUE(opened.has_value()) << opened.error().message();
        wal_ = std::move(*opened);
    }
    Error open_error() {
        wal_.reset();
        auto opened = Wal::open(fs_, options_);
        return opened ? Error(Code::kOk, "") : opened.error();
    }
    // One group of `count` entries of `bytes` bytes.
    Status append(int count, std::size_t bytes, std::uint64_t term = 1) {
        const std::string payload(bytes, 'x');
        std::vector<LogEntry> entries;
        for (int i = 0; i < count; ++i) {
            entries.push_back({.term = term,
                               .index = wal_->last_index() + 1 + static_cast<unsigned>(i),
                               .body = payload});
        }
        SLUICE_TRY(wal_->write({.entries = entries}));
        return wal_->sync();
    }
    std::vector<std::uint64_t> indexes(std::uint64_t after = 0) {
        std::vector<std::uint64_t> out;
        EXPECT_TRUE(wal_->replay(after, wal_->last_index(),
                                 [&](const LogEntry& e) {
                                     out.push_back(e.index);
                                     return Status{};
                                 })
                        .has_value());
        return out;
    }
    static std::string segment(std::uint64_t sequence) {
        return "wal/" + wal::segment_name(sequence);
    }

    FaultFileSystem fs_{1};
    WalOptions options_;
    std::unique_ptr<Wal> wal_;
};

TEST_F(WalTest, NewLogIsEmptyAndSaysSo) {
    EXPECT_TRUE(wal_->fresh());
    EXPECT_EQ(wal_->last_index(), 0u);
    EXPECT_EQ(wal_->first_index(), 1u);
    reopen();
    EXPECT_FALSE(wal_->fresh());
    EXPECT_EQ(wal_->last_index(), 0u);
}

TEST_F(WalTest, EveryRecordKindComesBack) {
    const HardState state{.term = 7, .vote = 11, .commit = 1};
    const Configuration members{.voters = {1, 2, 3},
                                .learners = {4},
                                .voters_outgoing = {1, 2},
                                .learners_next = {2},
                                .auto_leave = true};
    const SnapshotMark mark{.index = 1, .term = 6};
    const LogEntry entries[] = {
        {.term = 6, .index = 1, .head = "he", .body = "ad"},
        {.term = 7, .index = 2, .type = EntryType::kConfChangeV2, .body = "change"}};
    ASSERT_TRUE(wal_->write({.entries = entries,
                             .hard_state = &state,
                             .configuration = &members,
                             .snapshot = &mark})
                    .has_value());
    ASSERT_TRUE(wal_->sync().has_value());
    reopen();
    EXPECT_EQ(wal_->hard_state(), state);
    EXPECT_EQ(wal_->configuration(), members);
    EXPECT_EQ(wal_->snapshot(), mark);
    EXPECT_EQ(wal_->term_at(1), 6u);
    EXPECT_EQ(wal_->term_at(2), 7u);
    EXPECT_EQ(wal_->term_at(3), 0u);
    std::vector<LogEntry> read;
    std::vector<std::string> bodies;
    ASSERT_TRUE(wal_->replay(0, 2,
                             [&](const LogEntry& e) {
                                 read.push_back(e);
                                 bodies.emplace_back(e.body);
                                 return Status{};
                             })
                    .has_value());
    ASSERT_EQ(read.size(), 2u);
    EXPECT_EQ(bodies[0], "head");
    EXPECT_EQ(bodies[1], "change");
    EXPECT_EQ(read[1].type, EntryType::kConfChangeV2);
}

TEST_F(WalTest, OneGroupIsOneWriteAndOneFdatasync) {
    using Call = FaultFileSystem::Call;
    const std::uint64_t writes = fs_.calls(Call::kWrite);
    const std::uint64_t syncs = fs_.calls(Call::kFdatasync);
    ASSERT_TRUE(append(50, 100).has_value());
    EXPECT_EQ(fs_.calls(Call::kWrite), writes + 1);
    EXPECT_EQ(fs_.calls(Call::kFdatasync), syncs + 1);
}

TEST_F(WalTest, ReplayStreamsARange) {
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(append(1, 2000).has_value());
    EXPECT_GT(wal_->stats().segments, 3u);
    std::vector<std::uint64_t> seen;
    ASSERT_TRUE(wal_->replay(10, 20,
                             [&](const LogEntry& e) {
                                 seen.push_back(e.index);
                                 return Status{};
                             })
                    .has_value());
    ASSERT_EQ(seen.size(), 10u);
    EXPECT_EQ(seen.front(), 11u);
    EXPECT_EQ(seen.back(), 20u);
    const Status stopped = wal_->replay(
        0, 30, [](const LogEntry&) -> Status { return fail(Code::kAborted, "enough"); });
    EXPECT_EQ(stopped.error().code(), Code::kAborted);
}

TEST_F(WalTest, TruncationDropsTheTailAlsoAfterReopen) {
    ASSERT_TRUE(append(10, 10, 1).has_value());
    const LogEntry other{.term = 2, .index = 6, .body = "other"};
    ASSERT_TRUE(wal_->write({.truncate_after = 5, .entries = {&other, 1}}).has_value());
    ASSERT_TRUE(wal_->sync().has_value());
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(wal_->last_index(), 6u);
        EXPECT_EQ(wal_->term_at(6), 2u);
        EXPECT_THAT(indexes(), testing::ElementsAre(1, 2, 3, 4, 5, 6));
        reopen();
    }
}

TEST_F(WalTest, ReleaseRecyclesWholeSegmentsAndStateSurvives) {
    const HardState state{.term = 3, .vote = 1};
    const Configuration members{.voters = {1}};
    ASSERT_TRUE(wal_->write({.hard_state = &state, .configuration = &members}).has_value());
    ASSERT_TRUE(wal_->sync().has_value());
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(append(1, 3000, 3).has_value());
    const SnapshotMark mark{.index = 25, .term = 3};
    ASSERT_TRUE(wal_->write({.snapshot = &mark}).has_value());
    ASSERT_TRUE(wal_->sync().has_value());
    const std::uint64_t before = wal_->stats().segments;
    ASSERT_TRUE(wal_->release_prefix(25).has_value());
    EXPECT_LT(wal_->stats().segments, before);
    EXPECT_GT(wal_->first_index(), 1u);
    EXPECT_LE(wal_->first_index(), 26u);
    reopen();
    EXPECT_EQ(wal_->hard_state(), state);
    EXPECT_EQ(wal_->configuration(), members);
    EXPECT_EQ(wal_->snapshot(), mark);
    EXPECT_THAT(indexes(25), testing::ElementsAre(26, 27, 28, 29, 30));
    const std::uint64_t created = wal_->stats().segments_created;
    for (int i = 0; i < 12; ++i) ASSERT_TRUE(append(1, 3000, 3).has_value());
    EXPECT_EQ(wal_->stats().segments_recycled, limits::kWalSpareSegments);
    EXPECT_EQ(wal_->stats().segments_created, created);
    reopen();
    EXPECT_EQ(indexes(25).size(), 17u);
}

TEST_F(WalTest, LastIndexSurvivesWhenEveryEntryIsReleased) {
    for (int i = 0; i < 7; ++i) ASSERT_TRUE(append(1, 3000, 4).has_value());
    const SnapshotMark mark{.index = 7, .term = 4};
    ASSERT_TRUE(wal_->write({.snapshot = &mark}).has_value());  // begins the next segment
    ASSERT_TRUE(wal_->sync().has_value());
    ASSERT_TRUE(wal_->release_prefix(7).has_value());
    EXPECT_EQ(wal_->stats().segments, 1u);
    reopen();
    EXPECT_EQ(wal_->last_index(), 7u);
    EXPECT_EQ(wal_->first_index(), 8u);
    EXPECT_EQ(wal_->term_at(7), 4u);
    ASSERT_TRUE(append(1, 10, 4).has_value());
    EXPECT_THAT(indexes(7), testing::ElementsAre(8));
}

TEST_F(WalTest, TornTailIsCut) {
    ASSERT_TRUE(append(1, 100).has_value());
    ASSERT_TRUE(append(3, 3000).has_value());  // 3 blocks
    // The last block of the last group never reached the disk.
    fs_.overwrite(segment(1), 4 * kBlock, std::string(kBlock, '\0'));
    reopen();
    EXPECT_EQ(wal_->last_index(), 1u);
    EXPECT_GT(wal_->stats().cut_bytes, 3000u);
    ASSERT_TRUE(append(3, 3000).has_value());
    reopen();
    EXPECT_THAT(indexes(), testing::ElementsAre(1, 2, 3, 4));
}

TEST_F(WalTest, TheRecordThatBrokeOffCountsAsCut) {
    ASSERT_TRUE(append(1, 100).has_value());
    ASSERT_TRUE(append(1, 3000).has_value());
    fs_.overwrite(segment(1), 2 * kBlock + kBlock / 2, std::string(kBlock / 2, '\0'));
    reopen();
    EXPECT_EQ(wal_->last_index(), 1u);
    EXPECT_EQ(wal_->stats().cut_bytes, wal::kRecordHeaderBytes + wal::kEntryHeaderBytes + 3000);
    ASSERT_TRUE(append(1, 3000).has_value());
    reopen();
    EXPECT_EQ(wal_->last_index(), 2u);
    EXPECT_EQ(wal_->stats().cut_bytes, 0u);
}

TEST_F(WalTest, RemainsOfACutGroupDoNotCompleteALaterOne) {
    ASSERT_TRUE(append(2, 4096 - 2 * 48, 1).has_value());  // two records, 2 blocks
    const std::string old_group = fs_.contents(segment(1)).substr(kBlock, 2 * kBlock);
    fs_.overwrite(segment(1), kBlock, std::string(kBlock, '\0'));  // its first block is lost
    reopen();
    ASSERT_EQ(wal_->last_index(), 0u);
    ASSERT_TRUE(append(2, 4096 - 2 * 48, 2).has_value());
    const std::uint64_t at = fs_.contents(segment(1)).find("xxxx") / kBlock * kBlock;
    // Now the new group's second block is lost, and the old one's stands in its place.
    fs_.overwrite(segment(1), at + kBlock, old_group.substr(kBlock));
    reopen();
    EXPECT_EQ(wal_->last_index(), 0u);
}

TEST_F(WalTest, DamagedMiddleRefusesToOpenAndSaysWhere) {
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(append(1, 100).has_value());
    fs_.flip_bit(segment(1), 2 * kBlock + 60, 3);
    const Error error = open_error();
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.message(), HasSubstr(segment(1) + " offset 8192"));
    EXPECT_THAT(error.message(), HasSubstr("a later group at offset 12288"));
}

TEST_F(WalTest, DamageInASealedSegmentIsNeverCut) {
    while (wal_->stats().segments < 2) ASSERT_TRUE(append(1, 100).has_value());
    fs_.flip_bit(segment(1), 7 * kBlock + 60, 0);  // its very last group
    const Error error = open_error();
    EXPECT_EQ(error.code(), Code::kDataLoss);
    EXPECT_THAT(error.message(), HasSubstr(segment(1) + " offset 28672"));
}

TEST_F(WalTest, DamagedHeaderMissingSegmentAndNewerVersionAreTold) {
    while (wal_->stats().segments < 3) ASSERT_TRUE(append(1, 100).has_value());
    const std::string header = fs_.contents(segment(2)).substr(0, kBlock);
    fs_.flip_bit(segment(2), 33, 1);
    EXPECT_THAT(open_error().message(), HasSubstr("header is unreadable"));
    fs_.overwrite(segment(2), 8, std::string("\x02", 1));
    const Error newer = open_error();
    EXPECT_EQ(newer.code(), Code::kFailedPrecondition);
    EXPECT_THAT(newer.message(), HasSubstr("format version 2"));
    fs_.overwrite(segment(2), 0, header);
    EXPECT_EQ(open_error().code(), Code::kOk);
    ASSERT_TRUE(fs_.remove(segment(2)).has_value());
    EXPECT_THAT(open_error().message(), HasSubstr("the segment before it is missing"));
}

TEST_F(WalTest, StaleRecordsOfARecycledSegmentAreNotRead) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(1, 100).has_value());
    const SnapshotMark mark{.index = 20, .term = 1};
    ASSERT_TRUE(wal_->write({.snapshot = &mark}).has_value());
    ASSERT_TRUE(wal_->sync().has_value());
    ASSERT_TRUE(wal_->release_prefix(20).has_value());
    while (wal_->stats().segments_recycled == 0) ASSERT_TRUE(append(1, 100).has_value());
    const std::uint64_t last = wal_->last_index();
    reopen();  // behind its first group the newest segment is full of valid old records
    EXPECT_EQ(wal_->last_index(), last);
}

TEST_F(WalTest, AnEntryLargerThanASegmentGetsOne) {
    ASSERT_TRUE(append(1, 100).has_value());
    ASSERT_TRUE(append(1, 20 * kBlock).has_value());
    ASSERT_TRUE(append(1, 100).has_value());
    reopen();
    EXPECT_THAT(indexes(), testing::ElementsAre(1, 2, 3));
}

TEST_F(WalTest, TooLargeIsRefusedWithoutBreakingTheLog) {
    const std::string large(limits::kWalEntryBytesMax + 1, 'x');
    const LogEntry entry{.term = 1, .index = 1, .body = large};
    EXPECT_EQ(wal_->write({.entries = {&entry, 1}}).error().code(), Code::kInvalidArgument);
    EXPECT_TRUE(append(1, 10).has_value());
}

TEST_F(WalTest, DiskFullAtTheNextSegmentStopsTheLog) {
    fs_.fail_after(FaultFileSystem::Call::kFallocate, 0,
                   Error(Code::kResourceExhausted, "No space left on device"));
    Status status;
    int appended = 0;
    while ((status = append(1, 100)).has_value()) ++appended;
    EXPECT_EQ(appended, 7);
    EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
    fs_.heal();
    EXPECT_EQ(append(1, 100).error().code(), Code::kResourceExhausted);
    reopen();  // a restart with space goes on
    EXPECT_EQ(indexes().size(), 7u);
}

TEST_F(WalTest, WithoutFsyncTheGroupsAreWrittenAndNotSynced) {
    using Call = FaultFileSystem::Call;
    FaultFileSystem fs(1);
    {
        auto wal = Wal::open(fs, {.dir = "wal", .unsafe_no_fsync = true});
        ASSERT_TRUE(wal.has_value()) << wal.error().message();
        const std::uint64_t syncs = fs.calls(Call::kFdatasync);
        const HardState state{.term = 1};
        ASSERT_TRUE((*wal)->write({.hard_state = &state}).has_value());
        ASSERT_TRUE((*wal)->sync().has_value());
        EXPECT_EQ(fs.calls(Call::kFdatasync), syncs);
    }
    auto wal = Wal::open(fs, {.dir = "wal"});
    ASSERT_TRUE(wal.has_value()) << wal.error().message();
    EXPECT_EQ((*wal)->hard_state().term, 1u);
}

// A cold start waits for these, one after the other.
TEST_F(WalTest, ANewLogIsThreeSyncs) {
    using Call = FaultFileSystem::Call;
    FaultFileSystem fs(1);
    ASSERT_TRUE(fs.create_dir("wal").has_value());
    const std::uint64_t before = fs.calls(Call::kFdatasync);
    const std::uint64_t dirs = fs.calls(Call::kSyncDir);
    auto wal = Wal::open(fs, {.dir = "wal"});
    ASSERT_TRUE(wal.has_value());
    EXPECT_EQ(fs.calls(Call::kFdatasync), before + 1);
    EXPECT_EQ(fs.calls(Call::kSyncDir), dirs + 1);
    const HardState state{.term = 1};
    ASSERT_TRUE((*wal)->write({.hard_state = &state}).has_value());
    ASSERT_TRUE((*wal)->sync().has_value());
    EXPECT_EQ(fs.calls(Call::kFdatasync), before + 2);
}

TEST_F(WalTest, FailedFdatasyncIsFinal) {
    ASSERT_TRUE(append(1, 100).has_value());
    fs_.fail_after(FaultFileSystem::Call::kFdatasync, 0, Error(Code::kInternal, "EIO"));
    EXPECT_EQ(append(1, 100).error().message(), "EIO");
    fs_.heal();
    EXPECT_EQ(append(1, 100).error().message(), "EIO");
    EXPECT_EQ(wal_->sync().error().message(), "EIO");
}

TEST_F(WalTest, SparesArePreparedInTheBackground) {
    wal_.reset();
    options_.dir = "wal2";
    options_.first_segment_bytes = 4 * kBlock;
    options_.prepare_in_background = true;
    reopen();
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(append(1, 100).has_value());
    reopen();
    EXPECT_EQ(indexes().size(), 40u);
    wal_.reset();  // it ends what it is preparing
    const auto names = fs_.list("wal2");
    for (const std::string& name : *names) EXPECT_THAT(name, testing::Not(HasSubstr(".tmp")));
}

// The same on the machine's own file system, past the page cache where it lets us.
TEST(WalOnDisk, EntriesComeBackAcrossSegmentsAndReopens) {
    const TemporaryDir dir;
    const auto fs = io::make_posix_file_system();
    const std::string payload(10'000, 'x');
    std::uint64_t last = 0;
    for (int life = 0; life < 3; ++life) {
        auto wal = Wal::open(
            *fs,
            {.dir = dir.path("wal"), .segment_bytes = 1 << 18, .first_segment_bytes = 1 << 16});
        ASSERT_TRUE(wal.has_value()) << wal.error().message();
        ASSERT_EQ((*wal)->last_index(), last);
        for (int i = 0; i < 40; ++i) {
            const LogEntry entry{.term = 1, .index = ++last, .body = payload};
            ASSERT_TRUE((*wal)->write({.entries = {&entry, 1}}).has_value());
            ASSERT_TRUE((*wal)->sync().has_value());
        }
        std::uint64_t seen = 0;
        ASSERT_TRUE((*wal)
                        ->replay(0, last,
                                 [&](const LogEntry& entry) -> Status {
                                     EXPECT_EQ(entry.index, ++seen);
                                     EXPECT_EQ(entry.body, payload);
                                     return {};
                                 })
                        .has_value());
        EXPECT_EQ(seen, last);
    }
}

}  // namespace
}  // namespace sluice::storage
