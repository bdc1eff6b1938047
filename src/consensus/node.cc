#include "consensus/node.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "consensus/applier.h"
#include "consensus/doorbell.h"
#include "consensus/log_writer.h"
#include "consensus/mailbox.h"
#include "consensus/raft.h"
#include "rt/blocking.h"
#include "storage/wal/wal.h"
#include "sync/group.h"

namespace sluice::consensus {
namespace {

Error stopping_error() {
    return Error(Code::kUnavailable, "the node is stopping");
}

// The configuration that a log without any gets, with its first group.
std::optional<Configuration> first_configuration(const storage::Wal& wal,
                                                 const NodeOptions& options) {
    if (!wal.configuration().voters.empty() || wal.last_index() > 0) return std::nullopt;
    return Configuration{.voters = options.initial_voters};
}

storage::wal::LogIndex stored_entries(const storage::Wal& wal) {
    const std::uint64_t first = wal.first_index();
    storage::wal::LogIndex index(first, wal.term_at(first - 1));
    for (std::uint64_t i = first; i <= wal.last_index(); ++i) index.append(i, wal.term_at(i));
    return index;
}

}  // namespace

struct Node::Impl {
    Impl(NodeOptions node_options, StateMachine& state_machine, std::unique_ptr<Raft> core,
         std::unique_ptr<storage::Wal> wal)
        : options(std::move(node_options)),
          sm(state_machine),
          raft(std::move(core)),
          unsaved_configuration(first_configuration(*wal, options)),
          own_term_index(wal->last_index() + 1),
          last_mark(wal->snapshot().index),
          writer(std::move(wal), *options.ticks, bell, options.thread_cpus),
          applier(sm, writer.wal(), *options.ticks, pending,
                  {.applied = raft->log().applied(),
                   .snapshot_count = options.snapshot_count,
                   .last_mark = last_mark}) {}

    void start();
    void loop();
    bool turn();
    void take_finished();
    void take_proposals(Proposal* oldest);
    void process_ready();
    void take_mark();
    void publish_view();
    void fail_log(const Error& why);
    void drop_all(Proposal* oldest, const Error& why);
    Status refuse(std::uint64_t count, std::uint64_t bytes, Error why);
    Status propose(Proposal* proposal);
    void stop();

    const NodeOptions options;
    StateMachine& sm;
    PendingProposals pending;

    // The loop fiber's own.
    std::unique_ptr<Raft> raft;
    Ready ready;
    LogWriter::Work work;
    std::vector<LogWriter::Done> done;
    std::vector<LogEntry> batch;
    std::optional<HardState> unsaved;  // a commit index that waits for the next group
    std::optional<Configuration> unsaved_configuration;  // goes with the first hard state

    // Index of this term's first entry: a sole voter wins its first election.
    const std::uint64_t own_term_index;
    std::uint64_t last_mark;
    std::atomic<std::uint64_t> wanted_mark{0};

    Doorbell bell;
    Mailbox mailbox;
    LogWriter writer;
    Applier applier;
    std::atomic<bool> stopping{false};
    std::atomic<bool> failed{false};
    bool stopped = false;
    sync::Group fibers{nullptr};
    Recovered recovered;

    // For view(): written by the loop, relaxed, each value by itself.
    std::atomic<std::uint64_t> term{0};
    std::atomic<std::uint64_t> leader{0};
    std::atomic<std::uint64_t> last_index{0};
    std::atomic<std::uint64_t> commit{0};
    std::atomic<std::uint64_t> proposals_committed{0};
    std::atomic<std::uint64_t> groups{0};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> snapshots{0};
};

void Node::Impl::start() {
    fibers.spawn([this] { loop(); }, "log loop");
    // What run() returns it has told the state machine already.
    fibers.spawn([this] { (void)applier.run(); }, "log applier");
}

void Node::Impl::loop() {
    SLUICE_CHECK(raft->campaign().has_value());
    process_ready();
    while (turn()) bell.wait();
    applier.close();
}

// One look at everything that may have happened. False: the node has stopped.
bool Node::Impl::turn() {
    const bool stop_seen = stopping.load(std::memory_order_acquire);
    take_finished();
    raft->on_applied(applier.applied());
    if (failed.load(std::memory_order_relaxed)) return !stop_seen;
    // Before it leads, proposals wait in the mailbox: a moment at the start.
    if (raft->role() == Role::kLeader) {
        take_proposals(stop_seen ? mailbox.close() : mailbox.take_all());
        take_mark();
    }
    process_ready();
    publish_view();
    return !(stop_seen && raft->role() == Role::kLeader && writer.idle() && !raft->has_ready());
}

void Node::Impl::take_finished() {
    done.clear();
    writer.take_done(done);
    for (LogWriter::Done& group : done) {
        if (!group.status) return fail_log(group.status.error());
        groups.fetch_add(1, std::memory_order_relaxed);
        if (group.last_index > 0) {
            applier.add_stamps(group.stamps);
            raft->on_persisted(group.last_index, group.last_term);
        }
        for (const Message& message : group.after_persist) {
            SLUICE_CHECK(raft->step(message).has_value());
        }
        if (group.released_to > 0) raft->on_released(group.released_to);
    }
}

void Node::Impl::take_proposals(Proposal* oldest) {
    if (oldest == nullptr) return;
    batch.clear();
    while (oldest != nullptr) {
        Proposal* const next = Mailbox::next(oldest);
        batch.push_back({.head = oldest->head, .body = oldest->body, .local = oldest});
        oldest = next;
    }
    SLUICE_CHECK(raft->propose(batch).has_value());
}

void Node::Impl::process_ready() {
    while (raft->has_ready()) {
        raft->take_ready(ready);
        SLUICE_CHECK(ready.messages.empty());  // nobody else is there
        if (ready.hard_state) unsaved = ready.hard_state;
        if (ready.must_sync) {
            work.hard_state = std::exchange(unsaved, std::nullopt);
            work.configuration = std::exchange(unsaved_configuration, std::nullopt);
        }
        std::swap(work.entries, ready.entries);
        std::swap(work.after_persist, ready.messages_after_persist);
        writer.submit(work);
        if (ready.committed.empty() && ready.stored_committed.empty()) continue;
        const auto is_local = [](const LogEntry& entry) { return entry.local != nullptr; };
        proposals_committed.fetch_add(
            static_cast<std::uint64_t>(std::ranges::count_if(ready.committed, is_local)),
            std::memory_order_relaxed);
        applier.add(ready.stored_committed, ready.committed);
    }
}

void Node::Impl::take_mark() {
    const std::uint64_t index = wanted_mark.load(std::memory_order_acquire);
    if (index <= last_mark || index > raft->log().applied()) return;
    last_mark = index;
    work.snapshot = SnapshotMark{.index = index, .term = raft->log().term_at(index)};
    work.release_to = index > options.keep_entries ? index - options.keep_entries : 0;
    work.hard_state = std::exchange(unsaved, std::nullopt);
    writer.submit(work);
    snapshots.fetch_add(1, std::memory_order_relaxed);
}

void Node::Impl::publish_view() {
    term.store(raft->term(), std::memory_order_relaxed);
    leader.store(raft->leader(), std::memory_order_relaxed);
    last_index.store(raft->log().last_index(), std::memory_order_relaxed);
    commit.store(raft->log().committed(), std::memory_order_relaxed);
}

void Node::Impl::drop_all(Proposal* oldest, const Error& why) {
    while (oldest != nullptr) {
        Proposal* const next = Mailbox::next(oldest);
        pending.drop(*oldest, why);
        oldest = next;
    }
}

// The writer has stopped touching entries: it reports the failure after its last one.
void Node::Impl::fail_log(const Error& why) {
    if (failed.exchange(true)) return;
    const std::string text = fmt::format("the log cannot be written: {}", why.message());
    drop_all(mailbox.close(), Error(Code::kUnavailable, text));
    std::vector<LogEntry> abandoned;
    raft->take_abandoned(abandoned);
    for (const LogEntry& entry : abandoned) {
        if (entry.local == nullptr) continue;
        pending.drop(*static_cast<Proposal*>(entry.local), Error(Code::kUnknown, text));
    }
    const Error error(Code::kUnavailable, text);
    applier.waiters().end(error);
    sm.log_failed(error);
}

Status Node::Impl::refuse(std::uint64_t count, std::uint64_t bytes, Error why) {
    pending.failed.fetch_add(1, std::memory_order_relaxed);
    pending.subtract(count, bytes);
    return fail(std::move(why));
}

Status Node::Impl::propose(Proposal* proposal) {
    const std::uint64_t bytes = proposal->bytes();
    const std::uint64_t others = pending.count.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t other_bytes = pending.bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (bytes > limits::kWalEntryBytesMax) {
        return refuse(1, bytes,
                      Error(Code::kInvalidArgument, "the entry is too large for the log"));
    }
    // A large one is let in when it is alone.
    if (others >= options.proposals_max ||
        (others > 0 && other_bytes + bytes > options.proposal_bytes_max)) {
        return refuse(1, bytes, Error(Code::kResourceExhausted, "too many proposals are waiting"));
    }
    proposal->stamps_ = {};
    proposal->stamps_.queued = options.ticks->now();
    switch (mailbox.push(proposal)) {
        case Mailbox::Pushed::kFirst:
            bell.ring();
            return {};
        case Mailbox::Pushed::kBehindOthers:
            return {};
        case Mailbox::Pushed::kClosed:
            break;
    }
    return refuse(1, bytes, stopping_error());
}

void Node::Impl::stop() {
    SLUICE_CHECK(!std::exchange(stopped, true));
    stopping.store(true, std::memory_order_release);
    bell.ring();
    SLUICE_CHECK(fibers.wait().has_value());
    applier.waiters().end(stopping_error());
    // The thread is idle or broken: it ends at once.
    writer.stop();
    // `pending` need not be 0: other threads may still propose, and count until they are refused.
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Node::~Node() {
    SLUICE_CHECK(impl_->stopped);
}

Result<std::unique_ptr<storage::Wal>> Node::open_log(const NodeOptions& options) {
    SLUICE_CHECK(options.fs != nullptr);
    return storage::Wal::open(
        *options.fs, {.dir = options.wal_dir,
                      .segment_bytes = options.segment_bytes,
                      .first_segment_bytes = std::min<std::uint64_t>(options.segment_bytes,
                                                                     limits::kWalFirstSegmentBytes),
                      .unsafe_no_fsync = options.unsafe_no_fsync});
}

Result<std::unique_ptr<Node>> Node::open(NodeOptions options, StateMachine& sm) {
    SLUICE_TRY_ASSIGN(auto wal, rt::blocking([&] { return open_log(options); }));
    return open(std::move(options), sm, std::move(wal));
}

Result<std::unique_ptr<Node>> Node::open(NodeOptions options, StateMachine& sm,
                                         std::unique_ptr<storage::Wal> wal) {
    SLUICE_CHECK(options.fs != nullptr && options.ticks != nullptr && wal != nullptr);
    SLUICE_CHECK(options.member_id != kNoMember && options.proposals_max > 0);
    if (options.initial_voters.empty()) options.initial_voters = {options.member_id};
    RaftOptions core{
        .id = options.member_id,
        .hard_state = wal->hard_state(),
        .configuration = first_configuration(*wal, options).value_or(wal->configuration()),
        .stored = stored_entries(*wal),
        .applied = sm.applied_index()};
    const storage::Wal::Stats log = wal->stats();
    const Recovered recovered{.last_index = wal->last_index(),
                              .applied_index = sm.applied_index(),
                              .cut_bytes = log.cut_bytes,
                              .segments = log.segments};
    SLUICE_TRY_ASSIGN(auto raft, Raft::create(std::move(core)));
    auto impl = std::make_unique<Impl>(std::move(options), sm, std::move(raft), std::move(wal));
    impl->recovered = recovered;
    std::unique_ptr<Node> node(new Node(std::move(impl)));
    node->impl_->start();
    return node;
}

const Node::Recovered& Node::recovered() const noexcept {
    return impl_->recovered;
}

Status Node::propose(Proposal* proposal) {
    return impl_->propose(proposal);
}

Status Node::wait_ready(TimeNs deadline_ns) {
    return wait_applied(impl_->own_term_index, deadline_ns);
}

Result<std::uint64_t> Node::read_index(TimeNs deadline_ns) {
    Impl& impl = *impl_;
    impl.reads.fetch_add(1, std::memory_order_relaxed);
    if (impl.failed.load(std::memory_order_acquire)) [[unlikely]] {
        return fail(Code::kUnavailable, "the log has failed");
    }
    const std::uint64_t applied = impl.applier.applied();
    if (applied >= impl.own_term_index) [[likely]]
        return applied;
    SLUICE_TRY(wait_applied(impl.own_term_index, deadline_ns));
    return impl.applier.applied();
}

Status Node::wait_applied(std::uint64_t index, TimeNs deadline_ns) {
    AppliedWaiters& waiters = impl_->applier.waiters();
    if (waiters.applied() >= index) [[likely]]
        return {};
    if (deadline_ns == kNever) return waiters.wait(index, sync::Context::background());
    const sync::Context context(nullptr, deadline_ns);
    return waiters.wait(index, context);
}

void Node::mark_durable(std::uint64_t index) {
    std::uint64_t before = impl_->wanted_mark.load(std::memory_order_relaxed);
    while (before < index &&
           !impl_->wanted_mark.compare_exchange_weak(before, index, std::memory_order_release)) {
    }
    if (before < index) impl_->bell.ring();
}

void Node::stop() {
    impl_->stop();
}

Node::View Node::view() const {
    return {.member_id = impl_->options.member_id,
            .leader_id = impl_->leader.load(std::memory_order_relaxed),
            .term = impl_->term.load(std::memory_order_relaxed),
            .last_index = impl_->last_index.load(std::memory_order_relaxed),
            .commit_index = impl_->commit.load(std::memory_order_relaxed),
            .applied_index = impl_->applier.applied(),
            .failed = impl_->failed.load(std::memory_order_acquire)};
}

std::uint64_t Node::applied_index() const noexcept {
    return impl_->applier.applied();
}

Node::Counters Node::counters() const {
    const Impl& impl = *impl_;
    const auto read = [](const std::atomic<std::uint64_t>& value) {
        return value.load(std::memory_order_relaxed);
    };
    return {.proposals_pending = read(impl.pending.count),
            .proposal_bytes_pending = read(impl.pending.bytes),
            .proposals_committed = read(impl.proposals_committed),
            .proposals_applied = impl.applier.proposals_applied(),
            .proposals_failed = read(impl.pending.failed),
            .groups = read(impl.groups),
            .log_bytes = impl.writer.payload_bytes(),
            .reads = read(impl.reads),
            .snapshots = read(impl.snapshots)};
}

const HdrHistogram& Node::group_entries() const noexcept {
    return impl_->writer.group_entries();
}
const HdrHistogram& Node::write_ticks() const noexcept {
    return impl_->writer.write_ticks();
}
const HdrHistogram& Node::fdatasync_ticks() const noexcept {
    return impl_->writer.fdatasync_ticks();
}
const HdrHistogram& Node::apply_ticks() const noexcept {
    return impl_->applier.apply_ticks();
}

}  // namespace sluice::consensus
