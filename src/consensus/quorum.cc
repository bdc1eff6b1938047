#include "consensus/quorum.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace sluice::consensus {

std::uint64_t majority_index(std::span<const MemberId> voters,
                             const std::function<std::uint64_t(MemberId)>& match_of) {
    if (voters.empty()) return UINT64_MAX;
    if (voters.size() == 1) return match_of(voters.front());
    std::vector<std::uint64_t> matches;
    matches.reserve(voters.size());
    for (const MemberId voter : voters) matches.push_back(match_of(voter));
    const auto quorum = matches.begin() + static_cast<std::ptrdiff_t>(voters.size() / 2);
    std::ranges::nth_element(matches, quorum, std::greater{});
    return *quorum;
}

VoteResult vote_result(std::span<const MemberId> voters,
                       const std::function<std::optional<bool>(MemberId)>& vote_of) {
    if (voters.empty()) return VoteResult::kWon;
    std::size_t granted = 0;
    std::size_t missing = 0;
    for (const MemberId voter : voters) {
        const std::optional<bool> vote = vote_of(voter);
        if (!vote)
            ++missing;
        else if (*vote)
            ++granted;
    }
    const std::size_t quorum = voters.size() / 2 + 1;
    if (granted >= quorum) return VoteResult::kWon;
    return granted + missing >= quorum ? VoteResult::kPending : VoteResult::kLost;
}

std::uint64_t committed_index(const Configuration& configuration,
                              const std::function<std::uint64_t(MemberId)>& match_of) {
    return std::min(majority_index(configuration.voters, match_of),
                    majority_index(configuration.voters_outgoing, match_of));
}

VoteResult election_result(const Configuration& configuration,
                           const std::function<std::optional<bool>(MemberId)>& vote_of) {
    const VoteResult incoming = vote_result(configuration.voters, vote_of);
    const VoteResult outgoing = vote_result(configuration.voters_outgoing, vote_of);
    if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
    if (incoming == VoteResult::kWon && outgoing == VoteResult::kWon) return VoteResult::kWon;
    return VoteResult::kPending;
}

}  // namespace sluice::consensus
