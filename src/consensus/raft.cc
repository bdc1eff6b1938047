#include "consensus/raft.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/quorum.h"

namespace sluice::consensus {
namespace {

Status check_members(const RaftOptions& options) {
    const Configuration& members = options.configuration;
    const bool alone = members.voters.size() == 1 && members.learners.empty() &&
                       members.voters_outgoing.empty() && members.learners_next.empty();
    if (!alone) {
        return fail(Code::kUnimplemented,
                    fmt::format("the log's configuration has {} voters and {} learners; this "
                                "version runs one member only",
                                members.voters.size(), members.learners.size()));
    }
    if (members.voters.front() != options.id) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("the log belongs to member {:x}, not to {:x}",
                                members.voters.front(), options.id));
    }
    return {};
}

}  // namespace

void Ready::clear() {
    hard_state.reset();
    entries.clear();
    stored_committed = {};
    committed.clear();
    messages.clear();
    messages_after_persist.clear();
    read_states.clear();
    must_sync = false;
}

Result<std::unique_ptr<Raft>> Raft::create(RaftOptions options) {
    if (options.id == kNoMember) return fail(Code::kInvalidArgument, "a member id must not be 0");
    SLUICE_TRY(check_members(options));
    const std::uint64_t last = options.stored.last_index();
    if (options.hard_state.commit > last || options.applied > last) {
        return fail(Code::kDataLoss,
                    fmt::format("the log ends at index {}, but {} was committed and {} applied",
                                last, options.hard_state.commit, options.applied));
    }
    if (options.applied + 1 < options.stored.first_index()) {
        return fail(Code::kDataLoss,
                    fmt::format("the log begins at index {}, but the state machine holds only {}",
                                options.stored.first_index(), options.applied));
    }
    return std::unique_ptr<Raft>(new Raft(std::move(options)));
}

Raft::Raft(RaftOptions options)
    : id_(options.id),
      election_ticks_(options.election_ticks),
      configuration_(std::move(options.configuration)),
      log_(std::move(options.stored), options.hard_state.commit, options.applied),
      term_(options.hard_state.term),
      vote_(options.hard_state.vote),
      handed_out_(options.hard_state) {
    SLUICE_CHECK(log_.last_term() <= term_);
}

// The only place that changes role, term, vote or leader.
void Raft::become(Role role, std::uint64_t term) {
    SLUICE_CHECK(term >= term_);
    if (term > term_) {
        term_ = term;
        vote_ = kNoMember;
    }
    switch (role) {
        case Role::kFollower:
            leader_ = kNoMember;
            break;
        case Role::kPreCandidate:
            SLUICE_CHECK(false);  // needs a second member
            break;
        case Role::kCandidate:
            SLUICE_CHECK(role_ != Role::kLeader && vote_ == kNoMember);
            vote_ = id_;
            leader_ = kNoMember;
            break;
        case Role::kLeader:
            SLUICE_CHECK(role_ == Role::kCandidate && vote_ == id_);
            leader_ = id_;
            break;
    }
    role_ = role;
    ticks_ = 0;
    votes_.clear();
}

void Raft::tick() {
    if (role_ == Role::kLeader) return;
    if (++ticks_ < election_ticks_) return;
    ticks_ = 0;
    start_election();
}

Status Raft::campaign() {
    if (role_ == Role::kLeader) return {};
    start_election();
    return {};
}

void Raft::start_election() {
    become(Role::kCandidate, term_ + 1);
    // The own vote counts like any other: when it is durable.
    messages_after_persist_.push_back(
        {.type = MessageType::kVoteResponse, .to = id_, .from = id_, .term = term_});
}

Status Raft::step(const Message& message) {
    if (message.from != id_ || message.to != id_) {
        return fail(
            Code::kUnimplemented,
            fmt::format("message of member {:x}: this version runs one member only", message.from));
    }
    // What a former term's storage answers no longer counts.
    if (message.term < term_) return {};
    SLUICE_CHECK(message.term == term_);
    switch (message.type) {
        case MessageType::kVoteResponse:
            on_vote_response(message);
            return {};
        case MessageType::kAppendResponse:
            on_append_response(message);
            return {};
        default:
            return fail(Code::kUnimplemented,
                        fmt::format("message type {}: this version runs one member only",
                                    std::to_underlying(message.type)));
    }
}

void Raft::on_vote_response(const Message& message) {
    if (role_ != Role::kCandidate) return;
    votes_.try_emplace(message.from, !message.reject);
    const auto vote_of = [this](MemberId member) -> std::optional<bool> {
        const auto found = votes_.find(member);
        if (found == votes_.end()) return std::nullopt;
        return found->second;
    };
    switch (election_result(configuration_, vote_of)) {
        case VoteResult::kPending:
            return;
        case VoteResult::kLost:
            return become(Role::kFollower, term_);
        case VoteResult::kWon:
            return lead();
    }
}

void Raft::lead() {
    become(Role::kLeader, term_);
    progress_.clear();
    for (const MemberId voter : configuration_.voters) {
        progress_[voter] = {.match = 0, .next = log_.last_index() + 1};
    }
    progress_[id_].match = log_.persisted();
    LogEntry empty;
    append_as_leader(empty);
}

void Raft::append_as_leader(LogEntry& entry) {
    entry.term = term_;
    entry.index = log_.last_index() + 1;
    log_.append(entry);
}

Status Raft::propose(std::span<LogEntry> entries) {
    if (role_ != Role::kLeader) return fail(Code::kUnavailable, "this member does not lead");
    for (const LogEntry& entry : entries) {
        if (entry.type != EntryType::kNormal) {
            return fail(Code::kUnimplemented, "members cannot be changed in this version");
        }
    }
    for (LogEntry& entry : entries) append_as_leader(entry);
    return {};
}

Status Raft::read_index(std::uint64_t context) {
    if (role_ != Role::kLeader) return fail(Code::kUnavailable, "this member does not lead");
    if (!commit_is_current()) {
        return fail(Code::kUnavailable, "the leader has not committed an entry of its term yet");
    }
    // One voter is its own quorum: no round of messages is needed to know that it still leads.
    SLUICE_CHECK(configuration_.voters.size() == 1);
    read_states_.push_back({.index = log_.committed(), .context = context});
    return {};
}

bool Raft::commit_is_current() const noexcept {
    return role_ == Role::kLeader && log_.term_at(log_.committed()) == term_;
}

void Raft::on_persisted(std::uint64_t index, std::uint64_t term) {
    log_.on_persisted(index, term);
}

void Raft::on_append_response(const Message& message) {
    if (role_ != Role::kLeader || message.reject) return;
    const auto found = progress_.find(message.from);
    if (found == progress_.end()) return;
    Progress& progress = found->second;
    SLUICE_CHECK(message.from != id_ || message.index <= log_.persisted());
    if (message.index <= progress.match) return;
    progress.match = message.index;
    progress.next = std::max(progress.next, message.index + 1);
    maybe_commit();
}

// Only an entry of the own term is committed by counting; those before it are committed with it.
bool Raft::maybe_commit() {
    SLUICE_ASSERT(role_ == Role::kLeader);
    const std::uint64_t index = committed_index(configuration_, [this](MemberId member) {
        const auto found = progress_.find(member);
        return found == progress_.end() ? 0 : found->second.match;
    });
    if (index <= log_.committed() || log_.term_at(index) != term_) return false;
    return log_.commit_to(index);
}

void Raft::on_applied(std::uint64_t index) {
    log_.on_applied(index);
}

bool Raft::has_ready() const noexcept {
    return log_.has_unstored() || log_.has_unapplied() || hard_state() != handed_out_ ||
           !messages_after_persist_.empty() || !read_states_.empty();
}

void Raft::take_ready(Ready& out) {
    out.clear();
    const HardState now = hard_state();
    if (now != handed_out_) {
        out.hard_state = now;
        out.must_sync = now.term != handed_out_.term || now.vote != handed_out_.vote;
        handed_out_ = now;
    }
    log_.take_unstored(out.entries);
    if (!out.entries.empty()) {
        out.must_sync = true;
        if (role_ == Role::kLeader) {
            messages_after_persist_.push_back({.type = MessageType::kAppendResponse,
                                               .to = id_,
                                               .from = id_,
                                               .term = term_,
                                               .index = out.entries.back().index});
        }
    }
    out.stored_committed = log_.take_unapplied(out.committed);
    std::swap(out.messages_after_persist, messages_after_persist_);
    std::swap(out.read_states, read_states_);
    SLUICE_ASSERT(!has_ready());
}

void Raft::advance(const Ready& ready) {
    if (!ready.entries.empty()) {
        on_persisted(ready.entries.back().index, ready.entries.back().term);
    }
    for (const Message& message : ready.messages_after_persist) {
        if (message.to == id_) SLUICE_CHECK(step(message).has_value());
    }
    if (!ready.stored_committed.empty()) on_applied(ready.stored_committed.last);
    if (!ready.committed.empty()) on_applied(ready.committed.back().index);
}

}  // namespace sluice::consensus
