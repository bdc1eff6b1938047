#include "etcd/server/background.h"

#include <deque>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/sluice/internal.pb.h"
#include "rt/blocking.h"
#include "rt/fiber.h"

namespace sluice::etcd {
namespace {

// Waits for a signal or for the time; false when the group has been cancelled.
bool wait_until(sync::Notify& notify, const sync::Context& group, TimeNs deadline_ns) {
    sync::Context until(&group, deadline_ns);
    (void)notify.wait(until);
    return !group.ended();
}

}  // namespace

Result<HistorySlice> StoreHistory::read(Revision from, Revision to,
                                        const std::vector<HistoryRange>& ranges,
                                        std::size_t bytes_max) {
    storage::HistoryQuery query;
    query.from = from;
    query.to = to;
    query.bytes_max = bytes_max;
    query.ranges.reserve(ranges.size());
    for (const HistoryRange& range : ranges) query.ranges.push_back({range.key, range.range_end});
    HistorySlice slice;
    auto read = store_.read_history(query, storage::ReadTier::kMemory, slice.batches);
    if (read && read->step == storage::ReadStep::kWouldBlock && read->next <= from) {
        slice.batches.clear();
        read = rt::blocking(
            [&] { return store_.read_history(query, storage::ReadTier::kAny, slice.batches); });
    }
    if (!read) return fail(read.error());
    slice.next = read->next;
    return slice;
}

void Background::start(WatchHub& hub) {
    group_.spawn([this, &hub] { run_catch_up(hub); }, "watch catch-up");
    group_.spawn([this, &hub] { run_progress(hub); }, "watch progress");
    group_.spawn([this] { parts_.timeouts.run(group_.context()); }, "request timeouts");
    group_.spawn([this] { run_expiry(); }, "lease expiry");
    group_.spawn([this] { run_garbage(); }, "store garbage");
    if (parts_.compaction.mode != AutoCompaction::Mode::kOff) {
        group_.spawn([this] { run_compaction(); }, "auto compaction");
    }
}

void Background::stop() {
    group_.cancel("the server stops");
    (void)group_.wait();
}

void Background::progress_wanted(TimeNs) noexcept {
    progress_.signal();
}

void Background::run_catch_up(WatchHub& hub) {
    while (catch_up_.wait(group_.context())) {
        while (!group_.context().ended()) {
            const Result<bool> more = hub.catch_up_step();
            if (!more) {
                parts_.log.error("cannot read the history for watchers",
                                 {{"error", more.error().message()}});
                // The watchers are queued again; not at once, or a broken disk floods the log.
                sync::Notify never;
                wait_until(never, group_.context(),
                           parts_.clock.now_ns() + limits::kCatchUpRetryNs);
                continue;
            }
            if (!*more) break;
            rt::checkpoint();
        }
    }
}

void Background::run_progress(WatchHub& hub) {
    do {
    } while (wait_until(progress_, group_.context(), hub.progress_step()));
}

void Background::run_expiry() {
    std::vector<LeaseId> expired;
    TimeNs next = 0;
    do {
        next = parts_.lessor.collect_expired(expired);
        if (expired.empty()) continue;
        internal::LeaseExpire request;
        for (const LeaseId id : expired) request.add_ids(id);
        expired.clear();
        const auto revoked =
            parts_.proposer.run(EntryKind::kLeaseExpire, request.SerializeAsString());
        if (!revoked) {
            parts_.log.warn("cannot revoke expired leases", {{"error", revoked.error().message()}});
        }
    } while (wait_until(leases_, group_.context(), next));
}

void Background::run_garbage() {
    while (garbage_.wait(group_.context())) {
        const TimeNs began = parts_.clock.now_ns();
        const Status collected = rt::blocking([&] { return parts_.store.collect_garbage(); });
        if (!collected) {
            parts_.log.error("cannot remove compacted revisions",
                             {{"error", collected.error().message()}});
            continue;
        }
        parts_.metrics.compaction.observe(static_cast<double>(parts_.clock.now_ns() - began) /
                                          kMillisecond);
        parts_.metrics.last_compaction.set(parts_.clock.wall_ns() / kSecond);
    }
}

// Periodic: every tenth of the period (an hour's at most) the revision of that moment is noted, and
// the one noted a period ago is compacted. Revision: every five minutes what is older than so many
// revisions.
void Background::run_compaction() {
    const AutoCompaction& config = parts_.compaction;
    const bool periodic = config.mode == AutoCompaction::Mode::kPeriodic;
    constexpr int kNotesPerPeriod = 10;
    const TimeNs step = periodic ? std::min(config.period_ns, 3600 * kSecond) / kNotesPerPeriod
                                 : limits::kRevisionCompactionIntervalNs;
    std::deque<std::pair<TimeNs, storage::Revision>> noted;
    sync::Notify never;
    TimeNs next = parts_.clock.now_ns() + step;
    while (wait_until(never, group_.context(), next)) {
        next += step;
        const TimeNs now = parts_.clock.now_ns();
        const storage::Revision current = parts_.store.current_revision();
        if (!periodic) {
            compact_at(current - config.revisions);
            continue;
        }
        noted.emplace_back(now, current);
        storage::Revision old_enough = 0;
        while (!noted.empty() && noted.front().first <= now - config.period_ns) {
            old_enough = noted.front().second;
            noted.pop_front();
        }
        compact_at(old_enough);
    }
}

void Background::compact_at(storage::Revision revision) {
    if (revision <= 0 || revision <= parts_.store.compacted_revision()) return;
    etcdserverpb::CompactionRequest request;
    request.set_revision(revision);
    const auto done = parts_.proposer.run(EntryKind::kCompaction, request.SerializeAsString());
    if (done) {
        parts_.log.info("completed auto compaction", {{"revision", revision}});
    } else {
        parts_.log.warn("cannot compact",
                        {{"revision", revision}, {"error", done.error().message()}});
    }
}

}  // namespace sluice::etcd
