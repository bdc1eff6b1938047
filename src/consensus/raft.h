// The Raft core: a deterministic state machine without I/O, clock, threads or locks.
//
// Inputs are step(), propose(), tick(), on_persisted() and on_applied(); the output is Ready: what
// must be stored, sent and applied. The same inputs always give the same outputs. Storage is
// asynchronous: the driver may store one Ready while the core goes on, as long as it stores them
// in order, and then reports on_persisted().
//
// The driver's duties, for each Ready in order:
//   1. send `messages` at any time; store `hard_state` and `entries`, durably if must_sync;
//   2. when that is durable: on_persisted(last entry's index and term, if there are entries), then
//      every one of `messages_after_persist`: step() those to itself, send the others;
//   3. apply `stored_committed` (read from storage) and then `committed`, in order; on_applied().
// advance() does 2 and 3 at once, for drivers that store and apply synchronously.
//
// Safety rests on: a vote or an append is acknowledged (also to oneself) only after 2; a leader
// commits by counting only entries of its own term (thesis 3.6.2) and starts its term with an
// empty entry; a member raises its term durably before it leads, even when it is alone.
//
// States of a member, changed by become() only:
//
//   kFollower --timeout--> kCandidate --quorum of votes--> kLeader
//       ^-----higher term---------'------higher term----------'
//
// For now exactly one voter, itself: create() and step() refuse everything that needs a second
// member (kUnimplemented); the interface is already the one for many.
// Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014; the shape of go.etcd.io/raft.
// For one thread. Cost: about 50 ns a proposal in a batch (consensus_bench).
//
//   SLUICE_TRY_ASSIGN(auto raft, Raft::create(options));
//   SLUICE_TRY(raft->campaign());
//   while (raft->has_ready()) { raft->take_ready(ready); store(ready); raft->advance(ready); }
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "consensus/message.h"
#include "consensus/raft_log.h"
#include "consensus/types.h"

namespace sluice::consensus {

struct RaftOptions {
    MemberId id = kNoMember;
    HardState hard_state = {};
    Configuration configuration = {};
    storage::wal::LogIndex stored = {};  // the entries in storage
    std::uint64_t applied = 0;           // by the state machine
    std::uint32_t election_ticks = 10;   // ticks without a leader before an election
};

// A read that was asked for by read_index(): it may be served when `index` is applied.
struct ReadState {
    std::uint64_t index = 0;
    std::uint64_t context = 0;
};

struct Ready {
    std::optional<HardState> hard_state;  // set if it changed
    std::vector<LogEntry> entries;        // to store
    RaftLog::Range stored_committed;      // to apply, from storage
    std::vector<LogEntry> committed;      // to apply, after those
    std::vector<Message> messages;
    std::vector<Message> messages_after_persist;
    std::vector<ReadState> read_states;
    bool must_sync = false;  // entries, term or vote: not for the commit index alone

    void clear();
};

class Raft {
  public:
    static Result<std::unique_ptr<Raft>> create(RaftOptions options);

    // One unit of logical time; counts towards elections. A sole voter needs none.
    void tick();
    // Starts an election now. A sole voter wins it as soon as its new term is durable.
    Status campaign();
    // Appends the entries on the leader, giving each its index and term. kUnavailable: not the
    // leader; nothing is appended.
    Status propose(std::span<LogEntry> entries);
    // A message from a member (or to itself, from messages_after_persist).
    Status step(const Message& message);
    // Asks for a linearizable read; the answer comes as a ReadState with this context.
    // kUnavailable: not the leader, or this term's first entry is not committed yet: ask again.
    Status read_index(std::uint64_t context);

    void on_persisted(std::uint64_t index, std::uint64_t term);
    void on_applied(std::uint64_t index);
    void on_released(std::uint64_t index) { log_.on_released(index); }

    bool has_ready() const noexcept;
    // Fills `out` (cleared first) with what is to be done; it counts as handed out.
    void take_ready(Ready& out);
    void advance(const Ready& ready);

    Role role() const noexcept { return role_; }
    MemberId leader() const noexcept { return leader_; }
    HardState hard_state() const noexcept { return {term_, vote_, log_.committed()}; }
    std::uint64_t term() const noexcept { return term_; }
    const RaftLog& log() const noexcept { return log_; }
    const Configuration& configuration() const noexcept { return configuration_; }
    // Entries whose proposers will not hear of them: after a failure of the storage, nothing else
    // may be called afterwards.
    void take_abandoned(std::vector<LogEntry>& out) { log_.take_abandoned(out); }
    // The leader has committed an entry of its own term, so its commit index is current.
    bool commit_is_current() const noexcept;

  private:
    // What the leader knows about a member.
    struct Progress {
        std::uint64_t match = 0;
        std::uint64_t next = 1;
    };

    explicit Raft(RaftOptions options);
    void become(Role role, std::uint64_t term);
    void start_election();
    void on_vote_response(const Message& message);
    void on_append_response(const Message& message);
    void lead();
    void append_as_leader(LogEntry& entry);
    bool maybe_commit();

    const MemberId id_;
    const std::uint32_t election_ticks_;
    Configuration configuration_;
    RaftLog log_;
    std::uint64_t term_;
    MemberId vote_;
    Role role_ = Role::kFollower;
    MemberId leader_ = kNoMember;
    std::uint32_t ticks_ = 0;
    std::map<MemberId, Progress> progress_;
    std::map<MemberId, bool> votes_;
    HardState handed_out_;  // as of the last Ready
    std::vector<Message> messages_after_persist_;
    std::vector<ReadState> read_states_;
};

}  // namespace sluice::consensus
