// Raft's vocabulary: ids, roles, and the records of the log under the names that consensus uses.
#pragma once

#include <cstdint>

#include "storage/wal/records.h"

namespace sluice::consensus {

using storage::Configuration;
using storage::EntryType;
using storage::HardState;
using storage::LogEntry;
using storage::SnapshotMark;

using MemberId = std::uint64_t;  // given at bootstrap, kept in the data directory
inline constexpr MemberId kNoMember = 0;

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

}  // namespace sluice::consensus
