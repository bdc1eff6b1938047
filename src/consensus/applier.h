// The fiber that hands committed entries to the state machine, so that the next group's fdatasync
// overlaps with applying.
//
// The loop add()s what is committed; run() applies it in order and publishes the applied index.
// Entries that only the log has (those from before a restart) are streamed from it, a bounded batch
// at a time, on a blocking thread. What waits here is bounded by the proposals that the node
// accepts.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/tick_clock.h"
#include "consensus/applied_waiters.h"
#include "consensus/doorbell.h"
#include "consensus/log_writer.h"
#include "consensus/node.h"
#include "consensus/raft_log.h"

namespace sluice::consensus {

// Proposals accepted and neither applied nor dropped. Counters only: relaxed.
struct PendingProposals {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> failed{0};  // refused or dropped, since the start

    void drop(Proposal& proposal, const Error& why) {
        subtract(1, proposal.bytes());
        failed.fetch_add(1, std::memory_order_relaxed);
        proposal.on_dropped(why);  // the proposal may be gone now
    }

    void subtract(std::uint64_t proposals, std::uint64_t payload) noexcept {
        bytes.fetch_sub(payload, std::memory_order_relaxed);
        count.fetch_sub(proposals, std::memory_order_relaxed);
    }
};

class Applier {
  public:
    struct Options {
        std::uint64_t applied = 0;
        std::uint64_t snapshot_count = 0;
        std::uint64_t last_mark = 0;
    };
    Applier(StateMachine& sm, storage::Wal& wal, const TickClock& ticks, PendingProposals& pending,
            Options options);

    // The loop's side. `stored` comes before `entries`. Neither suspends.
    void add(RaftLog::Range stored, std::span<const LogEntry> entries);
    void add_stamps(const GroupStamps& stamps);
    // run() returns when everything added has been applied, entries that only the log has excepted.
    void close();

    // The fiber's body; returns after close(). An error: the log could not be read back (or was not
    // wanted any more, kCancelled), and what came after that was dropped with it.
    Status run();

    AppliedWaiters& waiters() noexcept { return waiters_; }
    std::uint64_t applied() const noexcept { return waiters_.applied(); }
    std::uint64_t proposals_applied() const noexcept {
        return proposals_applied_.load(std::memory_order_relaxed);
    }
    const HdrHistogram& apply_ticks() const noexcept { return apply_ticks_; }

  private:
    Status run_until_closed();
    void drop_the_rest(const Error& why);
    Status apply_stored(RaftLog::Range range);
    void apply_entries(std::span<const LogEntry> entries);
    void apply(std::span<const LogEntry> entries);
    bool closing() const;

    StateMachine& sm_;
    storage::Wal& wal_;
    const TickClock& ticks_;
    PendingProposals& pending_;
    const std::uint64_t snapshot_count_;
    std::uint64_t next_snapshot_;
    AppliedWaiters waiters_;
    HdrHistogram apply_ticks_;
    std::atomic<std::uint64_t> proposals_applied_{0};
    std::vector<LogEntry> taken_;            // off the queue, to be applied now
    std::vector<CommittedEntry> committed_;  // of the call to the state machine
    std::deque<GroupStamps> stamps_;         // of the groups not wholly applied

    Doorbell bell_;
    mutable std::mutex mutex_;  // guards what follows
    RaftLog::Range stored_;
    std::vector<LogEntry> entries_;  // behind stored_
    std::deque<GroupStamps> new_stamps_;
    bool closed_ = false;
};

}  // namespace sluice::consensus
