// Majorities: what is committed, who has won. Pure functions on sets of voters.
//
// A joint configuration needs both its halves: the smaller commit index, and a vote that is won
// in both. An empty half agrees to everything (as the field has it: it makes the plain case joint).
// Source: Ongaro's thesis, sections 3.6 and 4.3. Cost: linear in the voters.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "consensus/types.h"

namespace sluice::consensus {

// The largest index that a majority of the voters holds; UINT64_MAX for no voters.
// `match_of`: the index a voter is known to hold.
std::uint64_t majority_index(std::span<const MemberId> voters,
                             const std::function<std::uint64_t(MemberId)>& match_of);

enum class VoteResult : std::uint8_t { kPending, kWon, kLost };

// `vote_of`: the voter's answer, if it has answered.
VoteResult vote_result(std::span<const MemberId> voters,
                       const std::function<std::optional<bool>(MemberId)>& vote_of);

// The same for a configuration.
std::uint64_t committed_index(const Configuration& configuration,
                              const std::function<std::uint64_t(MemberId)>& match_of);
VoteResult election_result(const Configuration& configuration,
                           const std::function<std::optional<bool>(MemberId)>& vote_of);

}  // namespace sluice::consensus
