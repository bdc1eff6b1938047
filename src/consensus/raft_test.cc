#include "consensus/raft.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace sluice::consensus {
namespace {

constexpr MemberId kSelf = 0x1234567890abcdef;

// A disk for the core: what was stored, in order.
struct Disk {
    HardState hard_state;
    std::vector<std::uint64_t> terms;  // [i]: term of entry i + 1

    void store(const Ready& ready) {
        if (ready.hard_state) hard_state = *ready.hard_state;
        for (const LogEntry& entry : ready.entries) {
            ASSERT_EQ(entry.index, terms.size() + 1);
            terms.push_back(entry.term);
        }
    }
    RaftOptions options(std::uint64_t applied = 0) const {
        RaftOptions options{.id = kSelf, .hard_state = hard_state, .applied = applied};
        options.configuration.voters = {kSelf};
        for (std::size_t i = 0; i < terms.size(); ++i) options.stored.append(i + 1, terms[i]);
        return options;
    }
};

std::unique_ptr<Raft> start(const Disk& disk, std::uint64_t applied = 0) {
    auto raft = Raft::create(disk.options(applied));
    EXPECT_TRUE(raft.has_value()) << (raft ? "" : raft.error().message());
    return std::move(*raft);
}

// Runs the synchronous driver until nothing is left; returns the indexes applied from memory.
std::vector<std::uint64_t> settle(Raft& raft, Disk& disk) {
    std::vector<std::uint64_t> applied;
    Ready ready;
    while (raft.has_ready()) {
        raft.take_ready(ready);
        disk.store(ready);
        for (const LogEntry& entry : ready.committed) applied.push_back(entry.index);
        raft.advance(ready);
    }
    return applied;
}

Status propose(Raft& raft, int count) {
    std::vector<LogEntry> entries(static_cast<std::size_t>(count));
    for (LogEntry& entry : entries) entry.body = "x";
    return raft.propose(entries);
}

TEST(Raft, SoleVoterLeadsOnlyAfterItsNewTermIsDurable) {
    Disk disk;
    auto raft = start(disk);
    ASSERT_TRUE(raft->campaign().has_value());
    EXPECT_EQ(raft->role(), Role::kCandidate);
    Ready ready;
    raft->take_ready(ready);
    ASSERT_TRUE(ready.hard_state.has_value());
    EXPECT_EQ(*ready.hard_state, (HardState{.term = 1, .vote = kSelf, .commit = 0}));
    EXPECT_TRUE(ready.must_sync);
    EXPECT_TRUE(ready.entries.empty());
    EXPECT_FALSE(raft->has_ready());
    EXPECT_EQ(raft->role(), Role::kCandidate);
    disk.store(ready);
    raft->advance(ready);
    EXPECT_EQ(raft->role(), Role::kLeader);
    EXPECT_EQ(raft->leader(), kSelf);
}

TEST(Raft, TermRisesAtEveryStart) {
    Disk disk;
    for (std::uint64_t term = 1; term <= 4; ++term) {
        auto raft = start(disk);
        ASSERT_TRUE(raft->campaign().has_value());
        settle(*raft, disk);
        EXPECT_EQ(disk.hard_state.term, term);
        EXPECT_EQ(disk.terms.size(), term);
        EXPECT_EQ(disk.terms.back(), term);
    }
}

TEST(Raft, LeaderStartsItsTermWithAnEmptyEntry) {
    Disk disk;
    auto raft = start(disk);
    ASSERT_TRUE(raft->campaign().has_value());
    Ready ready;
    raft->take_ready(ready);
    raft->advance(ready);
    raft->take_ready(ready);
    ASSERT_EQ(ready.entries.size(), 1u);
    EXPECT_EQ(ready.entries[0].index, 1u);
    EXPECT_EQ(ready.entries[0].term, 1u);
    EXPECT_EQ(ready.entries[0].bytes(), 0u);
    EXPECT_FALSE(raft->commit_is_current());
    EXPECT_EQ(raft->read_index(1).error().code(), Code::kUnavailable);
    raft->advance(ready);
    EXPECT_TRUE(raft->commit_is_current());
}

TEST(Raft, CommitWaitsForTheDiskAndOldTermsForTheOwnOne) {
    Disk disk;
    disk.hard_state = {.term = 3, .vote = kSelf, .commit = 1};
    disk.terms = {1, 2, 3};
    auto raft = start(disk, 1);
    EXPECT_EQ(raft->log().committed(), 1u);
    ASSERT_TRUE(raft->campaign().has_value());
    Ready ready;
    raft->take_ready(ready);
    raft->advance(ready);
    // It leads and holds 2 and 3 durably, but may not commit them by counting.
    EXPECT_EQ(raft->role(), Role::kLeader);
    EXPECT_EQ(raft->log().committed(), 1u);
    raft->take_ready(ready);
    ASSERT_EQ(ready.entries.size(), 1u);
    EXPECT_TRUE(ready.committed.empty() && ready.stored_committed.empty());
    raft->on_persisted(4, 4);
    for (const Message& message : ready.messages_after_persist) {
        ASSERT_TRUE(raft->step(message).has_value());
    }
    EXPECT_EQ(raft->log().committed(), 4u);
    raft->take_ready(ready);
    EXPECT_EQ(ready.stored_committed.first, 2u);
    EXPECT_EQ(ready.stored_committed.last, 3u);
    ASSERT_EQ(ready.committed.size(), 1u);
    EXPECT_EQ(ready.committed[0].index, 4u);
    ASSERT_TRUE(ready.hard_state.has_value());
    EXPECT_FALSE(ready.must_sync) << "the commit index alone needs no fdatasync";
}

TEST(Raft, ProposalsAreNumberedBatchedAndAppliedInOrder) {
    Disk disk;
    auto raft = start(disk);
    EXPECT_EQ(propose(*raft, 1).error().code(), Code::kUnavailable);
    ASSERT_TRUE(raft->campaign().has_value());
    settle(*raft, disk);
    ASSERT_TRUE(propose(*raft, 3).has_value());
    ASSERT_TRUE(propose(*raft, 2).has_value());
    Ready ready;
    raft->take_ready(ready);
    EXPECT_EQ(ready.entries.size(), 5u) << "one group";
    EXPECT_EQ(ready.messages_after_persist.size(), 1u);
    disk.store(ready);
    raft->advance(ready);
    EXPECT_EQ(settle(*raft, disk), (std::vector<std::uint64_t>{2, 3, 4, 5, 6}));
    EXPECT_EQ(raft->log().in_memory(), 0u);
}

TEST(Raft, StorageMayLagBehindTheCore) {
    Disk disk;
    auto raft = start(disk);
    ASSERT_TRUE(raft->campaign().has_value());
    settle(*raft, disk);
    Ready first;
    Ready second;
    ASSERT_TRUE(propose(*raft, 2).has_value());
    raft->take_ready(first);
    ASSERT_TRUE(propose(*raft, 3).has_value());
    raft->take_ready(second);
    EXPECT_EQ(second.entries.front().index, first.entries.back().index + 1);
    EXPECT_TRUE(second.committed.empty());
    raft->advance(first);
    Ready third;
    raft->take_ready(third);
    EXPECT_EQ(third.committed.size(), 2u);
    EXPECT_EQ(raft->log().committed(), 3u);
    raft->advance(second);
    EXPECT_EQ(raft->log().committed(), 6u);
}

TEST(Raft, ReadIndexIsTheCommitIndex) {
    Disk disk;
    auto raft = start(disk);
    ASSERT_TRUE(raft->campaign().has_value());
    settle(*raft, disk);
    ASSERT_TRUE(propose(*raft, 4).has_value());
    settle(*raft, disk);
    ASSERT_TRUE(raft->read_index(77).has_value());
    Ready ready;
    raft->take_ready(ready);
    ASSERT_EQ(ready.read_states.size(), 1u);
    EXPECT_EQ(ready.read_states[0].index, 5u);
    EXPECT_EQ(ready.read_states[0].context, 77u);
}

TEST(Raft, TicksStartAnElection) {
    Disk disk;
    auto raft = start(disk);
    for (int i = 0; i < 9; ++i) raft->tick();
    EXPECT_EQ(raft->role(), Role::kFollower);
    raft->tick();
    EXPECT_EQ(raft->role(), Role::kCandidate);
    settle(*raft, disk);
    EXPECT_EQ(raft->role(), Role::kLeader);
}

TEST(Raft, RefusesWhatNeedsASecondMember) {
    Disk disk;
    RaftOptions options = disk.options();
    options.configuration.voters = {kSelf, kSelf + 1};
    EXPECT_EQ(Raft::create(options).error().code(), Code::kUnimplemented);
    options.configuration = {.voters = {kSelf}, .learners = {5}};
    EXPECT_EQ(Raft::create(options).error().code(), Code::kUnimplemented);
    options.configuration = {.voters = {7}};
    EXPECT_EQ(Raft::create(options).error().code(), Code::kFailedPrecondition);
    auto raft = start(disk);
    EXPECT_EQ(
        raft->step({.type = MessageType::kVote, .to = kSelf, .from = 7, .term = 9}).error().code(),
        Code::kUnimplemented);
    EXPECT_EQ(raft->term(), 0u);
    ASSERT_TRUE(raft->campaign().has_value());
    settle(*raft, disk);
    LogEntry change{.type = EntryType::kConfChangeV2};
    EXPECT_EQ(raft->propose({&change, 1}).error().code(), Code::kUnimplemented);
}

TEST(Raft, RefusesALogThatDoesNotFitTheStateMachine) {
    Disk disk;
    disk.hard_state = {.term = 1, .vote = kSelf, .commit = 2};
    disk.terms = {1, 1};
    EXPECT_EQ(Raft::create(disk.options(3)).error().code(), Code::kDataLoss);
    RaftOptions options = disk.options(0);
    options.stored.release_to(1);
    EXPECT_EQ(Raft::create(options).error().code(), Code::kDataLoss);
    options.applied = 1;
    EXPECT_TRUE(Raft::create(options).has_value());
}

// Random batches, storage that lags, restarts that lose what was not stored: what was committed
// once is there with the same term for ever.
TEST(Raft, CommittedEntriesStayUnderRandomLagAndRestarts) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        std::mt19937_64 random(seed);
        Disk disk;
        std::vector<std::uint64_t> committed_terms;
        for (int life = 0; life < 5; ++life) {
            const std::uint64_t applied = random() % (committed_terms.size() + 1);
            auto raft = start(disk, applied);
            ASSERT_TRUE(raft->campaign().has_value());
            std::vector<Ready> in_flight;
            std::uint64_t expected = applied;
            for (int step = 0; step < 60; ++step) {
                if (random() % 2 == 0 && raft->role() == Role::kLeader) {
                    ASSERT_TRUE(propose(*raft, 1 + static_cast<int>(random() % 4)).has_value());
                }
                if (raft->has_ready()) {
                    Ready& ready = in_flight.emplace_back();
                    raft->take_ready(ready);
                    if (!ready.stored_committed.empty()) {
                        ASSERT_EQ(ready.stored_committed.first, expected + 1);
                        expected = ready.stored_committed.last;
                    }
                    for (const LogEntry& entry : ready.committed) {
                        ASSERT_EQ(entry.index, expected + 1);
                        ASSERT_LE(entry.index, disk.terms.size()) << "seed " << seed;
                        expected = entry.index;
                    }
                }
                if (!in_flight.empty() && random() % 3 == 0) {
                    disk.store(in_flight.front());
                    raft->advance(in_flight.front());
                    in_flight.erase(in_flight.begin());
                }
                for (std::uint64_t i = 1; i <= raft->log().committed(); ++i) {
                    if (i > committed_terms.size()) committed_terms.push_back(disk.terms[i - 1]);
                    ASSERT_EQ(disk.terms[i - 1], committed_terms[i - 1]) << "seed " << seed;
                }
            }
        }
    }
}

}  // namespace
}  // namespace sluice::consensus
