// One member of the replicated log, as the faces above see it: propose, apply, read.
//
// Life of a proposal (docs/consensus.md): propose() puts it into the mailbox; the loop fiber gives
// everything that waits to the Raft core as one batch; the log writer, a thread of its own, makes
// the batch durable with one write and one fdatasync; the loop commits; the applier fiber hands
// the committed entries to the StateMachine in order, which completes the callers. While one group
// is on its way to the disk the next one gathers: that is the whole group commit, there is no
// timer. With one member and nothing to do no timer is armed and nothing wakes.
//
// Who may call: any fiber or thread, where not said otherwise. open(), wait_*() and stop() suspend
// the calling fiber; no call blocks a worker.
//
// Errors of a proposal: propose() returns kResourceExhausted (too many waiting; the face words it),
// kInvalidArgument (too large), kUnavailable (stopping or failed). After it returned OK exactly one
// of two things happens: the entry is applied (StateMachine::apply gets it with entry.local), or
// Proposal::on_dropped() is called: kUnavailable means never logged, kUnknown means that it may be
// in the log and may be applied after a restart.
//
// Failure: a failed write or fdatasync stops the node for good: everything waiting is dropped and
// StateMachine::log_failed() is told once; the process should end.
//
//   class Store : public consensus::StateMachine { ... };
//   SLUICE_TRY_ASSIGN(auto node, consensus::Node::open(options, store));
//   SLUICE_TRY(node->wait_ready(deadline));          // replayed, leader, reads allowed
//   PutCall call(header, value);                     // a Proposal, on the calling fiber's stack
//   SLUICE_TRY(node->propose(&call));
//   call.wait();                                     // completed by Store::apply
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/histogram.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/tick_clock.h"
#include "consensus/types.h"
#include "io/file.h"

namespace sluice::storage {
class Wal;
}

namespace sluice::consensus {

// A change that a local caller wants in the log. The caller owns it and must keep it and the bytes
// of `head` and `body` in place until StateMachine::apply() has been given it or on_dropped() has
// been called; both may destroy it. The payload that is logged is head followed by body; after a
// restart it comes back in one piece, so `head` must say where it ends.
class Proposal {
  public:
    std::string_view head;  // small: opcode, ids, lengths
    std::string_view body;  // large: for example the request's bytes, not copied before the log

    // Stamps for the time account, in ticks of NodeOptions::ticks. 0: not reached. Set before
    // apply() sees the entry: propose() entered, its group's write began, write done, fdatasync
    // done, handed to apply().
    struct Stamps {
        Ticks queued = 0;
        Ticks write_started = 0;
        Ticks written = 0;
        Ticks synced = 0;
        Ticks apply_started = 0;
    };
    const Stamps& stamps() const noexcept { return stamps_; }

    // The entry will not be applied by this process. Called on a fiber of the node or, when the
    // node stops, of its stopper; must not suspend for long and must not propose.
    virtual void on_dropped(const Error& why) = 0;

    std::size_t bytes() const noexcept { return head.size() + body.size(); }

  protected:
    Proposal() = default;
    ~Proposal() = default;

  private:
    friend class Applier;
    friend class Mailbox;
    friend class Node;
    Proposal* next_ = nullptr;  // mailbox
    Stamps stamps_;
};

// A committed entry. `proposal` is the local caller's object, or null: an entry from before a
// restart, or (later) from another member. An empty payload of kNormal is a leader's first entry:
// the state machine only notes its index.
struct CommittedEntry {
    std::uint64_t term = 0;
    std::uint64_t index = 0;
    EntryType type = EntryType::kNormal;
    std::string_view head;
    std::string_view body;
    Proposal* proposal = nullptr;
};

// What the log drives. All calls but applied_index() come from the node's applier fiber.
class StateMachine {
  public:
    virtual ~StateMachine() = default;

    // Index of the last entry whose effects the state machine holds *durably or not*; asked once,
    // in Node::open(). The log replays what follows. It must be honest: after a crash the effects
    // of entries up to exactly this index are there.
    virtual std::uint64_t applied_index() const = 0;

    // Applies the entries in order, indexes contiguous. May suspend. Completes the local callers
    // (entry.proposal) itself, when their effect is visible to every reader: linearizable reads
    // (Node::read_index) rely on no caller being told earlier. Must not fail: what cannot be
    // applied is decided the same way on every member, from the entry and the state alone. Views
    // are valid until apply() returns, those of a local proposal as long as its owner says.
    virtual void apply(std::span<const CommittedEntry> entries) = 0;

    // snapshot_count entries were applied since the last mark: flush soon, then tell
    // Node::mark_durable(). Must not suspend for long: start the work elsewhere.
    virtual void snapshot_due(std::uint64_t applied_index) { (void)applied_index; }

    // The log is broken (see "Failure" above). May be called on the loop fiber.
    virtual void log_failed(const Error& why) = 0;
};

struct NodeOptions {
    std::string wal_dir = {};  // DataDirectory::wal_dir()
    io::FileSystem* fs = nullptr;
    const TickClock* ticks = nullptr;
    std::uint64_t member_id = 0;  // not 0; of DataDirectory
    // For a new log: the members. Must be {member_id} (or empty, which means that) until members
    // can be added.
    std::vector<std::uint64_t> initial_voters = {};

    bool unsafe_no_fsync = false;  // see WalOptions
    // Where the log writer runs; empty: as who opens the node, which may be a worker in its place.
    std::vector<unsigned> thread_cpus = {};

    std::uint64_t snapshot_count = limits::kSnapshotCount;         // entries
    std::uint64_t keep_entries = limits::kSnapshotKeepEntries;     // kept below the mark
    std::uint32_t proposals_max = limits::kProposalsMax;           // not yet applied
    std::uint64_t proposal_bytes_max = limits::kProposalBytesMax;  // sum of the same
    std::uint64_t segment_bytes = limits::kWalSegmentBytes;
};

class Node {
  public:
    // Recovers the log and starts the loop, the applier and the log writer. On a fiber of the
    // runtime that shall run them; suspends while the disk is read. kDataLoss: the log is damaged,
    // or it does not reach back to sm.applied_index(), or ends before it.
    // kUnimplemented: a configuration with more than this one voter.
    // The state machine, fs and ticks must outlive the node.
    static Result<std::unique_ptr<Node>> open(NodeOptions options, StateMachine& sm);
    // The same in two steps, so that the log is read while others read their files: open_log()
    // BLOCKS on the disk and may run on any thread, before the runtime; then open() does no I/O.
    static Result<std::unique_ptr<storage::Wal>> open_log(const NodeOptions& options);
    static Result<std::unique_ptr<Node>> open(NodeOptions options, StateMachine& sm,
                                              std::unique_ptr<storage::Wal> wal);
    ~Node();  // stop() must have returned

    // Never suspends, never blocks; about 100 ns.
    Status propose(Proposal* proposal);

    // Suspends until this member leads, everything that was in the log is applied, and reads are
    // allowed. kDeadlineExceeded, kUnavailable (stopped, failed).
    Status wait_ready(TimeNs deadline_ns);

    // The index that a linearizable read must have seen applied. Follow with wait_applied(), then
    // read the state machine's newest state (not the state at exactly that index).
    //
    // One voter that leads: returns applied_index() at once, an atomic load, no round trip through
    // the loop. Why that is right: (1) no other member can acknowledge anything, as no quorum forms
    // without this one; (2) this one acknowledges a write only from StateMachine::apply(), when its
    // effect is visible to every reader; so whatever was acknowledged before the read began is
    // visible to it already; (3) what an earlier process acknowledged lies in the log below this
    // term's first entry: until that is applied the call suspends. Errors: kUnavailable,
    // kDeadlineExceeded.
    Result<std::uint64_t> read_index(TimeNs deadline_ns);

    // Suspends until applied_index() >= index. At once, without suspending, if it is (one load).
    // kDeadlineExceeded, kUnavailable.
    Status wait_applied(std::uint64_t index, TimeNs deadline_ns);

    // The state machine holds everything up to `index` durably (its flush has finished): the mark
    // is logged with the next group and whole segments below index - keep_entries are recycled.
    // Indexes that are not above the last mark are ignored. Never suspends.
    void mark_durable(std::uint64_t index);

    // No new proposals; what is in the log is applied, callers are completed or dropped; fibers
    // and the thread have ended when it returns. Call once, on a fiber.
    void stop();

    // What open() found.
    struct Recovered {
        std::uint64_t last_index = 0;     // of the log
        std::uint64_t applied_index = 0;  // of the state machine; what is above it is applied again
        std::uint64_t cut_bytes = 0;      // of a group that a crash left incomplete
        std::uint64_t segments = 0;       // files
    };
    const Recovered& recovered() const noexcept;

    struct View {
        std::uint64_t member_id = 0;
        std::uint64_t leader_id = 0;  // 0: none
        std::uint64_t term = 0;
        std::uint64_t last_index = 0;
        std::uint64_t commit_index = 0;
        std::uint64_t applied_index = 0;
        bool failed = false;
    };
    View view() const;
    std::uint64_t applied_index() const noexcept;

    // Counters since the start. The histograms have one writer each and live as long as the node.
    struct Counters {
        std::uint64_t proposals_pending = 0;  // accepted, not applied or dropped
        std::uint64_t proposal_bytes_pending = 0;
        std::uint64_t proposals_committed = 0;
        std::uint64_t proposals_applied = 0;
        std::uint64_t proposals_failed = 0;  // refused and dropped
        std::uint64_t groups = 0;
        std::uint64_t log_bytes = 0;
        std::uint64_t reads = 0;
        std::uint64_t snapshots = 0;  // marks
    };
    Counters counters() const;
    const HdrHistogram& group_entries() const noexcept;    // entries a group
    const HdrHistogram& write_ticks() const noexcept;      // ticks a write
    const HdrHistogram& fdatasync_ticks() const noexcept;  // ticks an fdatasync
    const HdrHistogram& apply_ticks() const noexcept;      // ticks an apply() call

  private:
    struct Impl;
    explicit Node(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::consensus
