// What Raft members (and a member's own storage) tell each other: one struct for all kinds, as in
// raftpb.Message, whose numbers the kinds have. Not a wire format; that comes with the transport.
#pragma once

#include <cstdint>
#include <vector>

#include "consensus/types.h"

namespace sluice::consensus {

enum class MessageType : std::uint8_t {
    kHup = 0,   // local: start an election
    kBeat = 1,  // local: send heartbeats
    kPropose = 2,
    kAppend = 3,
    kAppendResponse = 4,
    kVote = 5,
    kVoteResponse = 6,
    kSnapshot = 7,
    kHeartbeat = 8,
    kHeartbeatResponse = 9,
    kUnreachable = 10,
    kSnapshotStatus = 11,
    kCheckQuorum = 12,
    kTransferLeader = 13,
    kTimeoutNow = 14,
    kReadIndex = 15,
    kReadIndexResponse = 16,
    kPreVote = 17,
    kPreVoteResponse = 18,
};

struct Message {
    MessageType type = MessageType::kHup;
    MemberId to = kNoMember;
    MemberId from = kNoMember;
    std::uint64_t term = 0;
    std::uint64_t log_term = 0;
    std::uint64_t index = 0;
    std::uint64_t commit = 0;
    std::vector<LogEntry> entries = {};
    SnapshotMark snapshot = {};
    std::uint64_t context = 0;  // read requests
    bool reject = false;
    std::uint64_t reject_hint = 0;
};

}  // namespace sluice::consensus
