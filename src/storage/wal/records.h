// What the log stores: Raft's records, as plain values. Above the log the same types are used by
// consensus (consensus/types.h); nothing here does I/O.
//
// The numbers of EntryType are those of raftpb.EntryType; they are on disk. Source: Ongaro,
// "Consensus: Bridging Theory and Practice", sections 3.8 (persisted state), 4 (configurations).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::storage {

enum class EntryType : std::uint8_t {
    kNormal = 0,        // bytes of the state machine; empty: a new leader's first entry
    kConfChange = 1,    // reserved for members, one at a time
    kConfChangeV2 = 2,  // reserved for members, joint
};

// One entry of the replicated log. The payload is `head` followed by `body`: two parts, so that a
// proposer need not copy a large value behind its small header. An entry that was read back from
// the log has everything in `body`. The views' owner is named where an Entry is handed over.
struct LogEntry {
    std::uint64_t term = 0;
    std::uint64_t index = 0;  // 1 is the first
    EntryType type = EntryType::kNormal;
    std::string_view head = {};
    std::string_view body = {};
    void* local = nullptr;  // the proposer's object on the node that proposed it; never stored

    std::size_t bytes() const noexcept { return head.size() + body.size(); }
};

// What a member must never forget (Raft's persistent state; commit is a hint that may lag).
struct HardState {
    std::uint64_t term = 0;
    std::uint64_t vote = 0;  // member id, 0: none in this term
    std::uint64_t commit = 0;

    bool operator==(const HardState&) const = default;
};

// The members by role, in raftpb.ConfState's parts. Sorted, without duplicates.
struct Configuration {
    std::vector<std::uint64_t> voters = {};
    std::vector<std::uint64_t> learners = {};
    std::vector<std::uint64_t> voters_outgoing = {};  // joint: the old half
    std::vector<std::uint64_t> learners_next = {};    // joint: voters that become learners
    bool auto_leave = false;

    bool operator==(const Configuration&) const = default;
};

// "The state machine holds everything up to index durably": the log below may go.
struct SnapshotMark {
    std::uint64_t index = 0;
    std::uint64_t term = 0;  // of the entry at index

    bool operator==(const SnapshotMark&) const = default;
};

}  // namespace sluice::storage
