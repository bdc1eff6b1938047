#include "consensus/applier.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "rt/blocking.h"

namespace sluice::consensus {

Applier::Applier(StateMachine& sm, storage::Wal& wal, const TickClock& ticks,
                 PendingProposals& pending, Options options)
    : sm_(sm),
      wal_(wal),
      ticks_(ticks),
      pending_(pending),
      snapshot_count_(options.snapshot_count),
      next_snapshot_(options.last_mark + options.snapshot_count),
      waiters_(options.applied) {}

void Applier::add(RaftLog::Range stored, std::span<const LogEntry> entries) {
    {
        const std::lock_guard lock(mutex_);
        SLUICE_CHECK(!closed_);
        if (!stored.empty()) {
            // What only the log has comes before everything that was ever in memory.
            SLUICE_CHECK(entries_.empty());
            if (stored_.empty()) stored_ = stored;
            SLUICE_CHECK(stored.first == stored_.first || stored.first == stored_.last + 1);
            stored_.last = stored.last;
        }
        entries_.insert(entries_.end(), entries.begin(), entries.end());
    }
    bell_.ring();
}

void Applier::add_stamps(const GroupStamps& stamps) {
    const std::lock_guard lock(mutex_);
    new_stamps_.push_back(stamps);
}

void Applier::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    bell_.ring();
}

bool Applier::closing() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

Status Applier::run() {
    Status status = run_until_closed();
    if (!status) {
        waiters_.end(status.error());
        if (status.error().code() != Code::kCancelled) sm_.log_failed(status.error());
        drop_the_rest(status.error());
    }
    return status;
}

Status Applier::run_until_closed() {
    for (;;) {
        RaftLog::Range stored;
        bool closed = false;
        {
            const std::lock_guard lock(mutex_);
            stored = std::exchange(stored_, {});
            taken_.clear();
            std::swap(taken_, entries_);
            std::ranges::move(new_stamps_, std::back_inserter(stamps_));
            new_stamps_.clear();
            closed = closed_;
        }
        if (!stored.empty()) SLUICE_TRY(apply_stored(stored));
        apply_entries(taken_);
        if (!stored.empty() || !taken_.empty()) continue;
        if (closed) return {};
        bell_.wait();
    }
}

void Applier::drop_the_rest(const Error& why) {
    const Error error(Code::kUnknown, why.message());
    for (;;) {
        for (const LogEntry& entry : taken_) {
            if (entry.local != nullptr) pending_.drop(*static_cast<Proposal*>(entry.local), error);
        }
        taken_.clear();
        {
            const std::lock_guard lock(mutex_);
            std::swap(taken_, entries_);
            if (taken_.empty() && closed_) return;
        }
        if (taken_.empty()) bell_.wait();
    }
}

// A batch is what fits into kReplayBatchBytes; the visitor then ends the stream with kAborted.
Status Applier::apply_stored(RaftLog::Range range) {
    std::uint64_t done = range.first - 1;
    while (done < range.last) {
        std::deque<std::string> bodies;
        std::vector<LogEntry> entries;
        std::size_t bytes = 0;
        const auto visit = [&](const LogEntry& entry) -> Status {
            if (bytes >= limits::kReplayBatchBytes) return fail(Code::kAborted, "batch is full");
            bytes += entry.bytes() + sizeof(LogEntry);
            entries.push_back(entry);
            entries.back().body = bodies.emplace_back(entry.body);
            return {};
        };
        const Status read = rt::blocking([&] { return wal_.replay(done, range.last, visit); });
        if (!read && read.error().code() != Code::kAborted) return read;
        SLUICE_CHECK(!entries.empty() && entries.front().index == done + 1);
        done = entries.back().index;
        apply_entries(entries);
        // A stop need not wait for a long replay: the next start goes on where this ends.
        if (closing() && done < range.last) {
            return fail(Code::kCancelled, "stopped while the log was being replayed");
        }
    }
    return {};
}

void Applier::apply_entries(std::span<const LogEntry> entries) {
    while (!entries.empty()) {
        const std::size_t count = std::min(entries.size(), limits::kApplyBatchEntries);
        apply(entries.first(count));
        entries = entries.subspan(count);
    }
}

void Applier::apply(std::span<const LogEntry> entries) {
    SLUICE_CHECK(entries.front().index == waiters_.applied() + 1);
    const Ticks started = ticks_.now();
    std::uint64_t proposals = 0;
    std::uint64_t bytes = 0;
    committed_.clear();
    for (const LogEntry& entry : entries) {
        auto* const proposal = static_cast<Proposal*>(entry.local);
        committed_.push_back({.term = entry.term,
                              .index = entry.index,
                              .type = entry.type,
                              .head = entry.head,
                              .body = entry.body,
                              .proposal = proposal});
        if (proposal == nullptr) continue;
        while (!stamps_.empty() && stamps_.front().last_index < entry.index) stamps_.pop_front();
        SLUICE_CHECK(!stamps_.empty());
        const GroupStamps& group = stamps_.front();
        proposal->stamps_.write_started = group.write_started;
        proposal->stamps_.written = group.written;
        proposal->stamps_.synced = group.synced;
        proposal->stamps_.apply_started = started;
        ++proposals;
        bytes += entry.bytes();
    }
    sm_.apply(committed_);
    // The proposals may be gone now.
    apply_ticks_.record(ticks_.now() - started);
    pending_.subtract(proposals, bytes);
    proposals_applied_.fetch_add(proposals, std::memory_order_relaxed);
    const std::uint64_t applied = committed_.back().index;
    waiters_.publish(applied);
    if (applied >= next_snapshot_) {
        next_snapshot_ = applied + snapshot_count_;
        sm_.snapshot_due(applied);
    }
}

}  // namespace sluice::consensus
