#include "consensus/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace sluice::consensus {
namespace {

TEST(Quorum, MajorityIndexIsWhatMoreThanHalfHold) {
    const auto of = [](std::vector<std::uint64_t> matches) {
        std::vector<MemberId> voters(matches.size());
        for (std::size_t i = 0; i < voters.size(); ++i) voters[i] = i;
        return majority_index(voters, [&](MemberId id) { return matches[id]; });
    };
    EXPECT_EQ(of({}), UINT64_MAX);
    EXPECT_EQ(of({12}), 12u);
    EXPECT_EQ(of({12, 5}), 5u);
    EXPECT_EQ(of({12, 5, 6}), 6u);
    EXPECT_EQ(of({0, 5, 6, 7}), 5u);
    EXPECT_EQ(of({100, 101, 103, 103, 104}), 103u);
}

TEST(Quorum, MajorityIndexAgreesWithCounting) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 2000; ++round) {
        const std::size_t n = 1 + random() % 9;
        std::vector<MemberId> voters(n);
        std::vector<std::uint64_t> matches(n);
        for (std::size_t i = 0; i < n; ++i) {
            voters[i] = i;
            matches[i] = random() % 10;
        }
        const auto got = majority_index(voters, [&](MemberId id) { return matches[id]; });
        const auto holders = [&](std::uint64_t index) {
            return static_cast<std::size_t>(
                std::ranges::count_if(matches, [&](std::uint64_t m) { return m >= index; }));
        };
        ASSERT_GT(holders(got), n / 2);
        ASSERT_LE(holders(got + 1), n / 2);
    }
}

TEST(Quorum, JointNeedsBothHalves) {
    const Configuration joint{.voters = {1, 2, 3}, .voters_outgoing = {3, 4, 5}};
    std::map<MemberId, std::uint64_t> match = {{1, 9}, {2, 9}, {3, 9}, {4, 2}, {5, 4}};
    EXPECT_EQ(committed_index(joint, [&](MemberId id) { return match[id]; }), 4u);
    std::map<MemberId, bool> votes = {{1, true}, {2, true}};
    const auto vote_of = [&](MemberId id) -> std::optional<bool> {
        const auto found = votes.find(id);
        if (found == votes.end()) return std::nullopt;
        return found->second;
    };
    EXPECT_EQ(election_result(joint, vote_of), VoteResult::kPending);
    votes[3] = true;
    EXPECT_EQ(election_result(joint, vote_of), VoteResult::kPending);
    votes[4] = true;
    EXPECT_EQ(election_result(joint, vote_of), VoteResult::kWon);
    votes[3] = votes[4] = false;
    EXPECT_EQ(election_result(joint, vote_of), VoteResult::kLost);
}

}  // namespace
}  // namespace sluice::consensus
