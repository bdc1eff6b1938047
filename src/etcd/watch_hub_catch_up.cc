// Serving watchers that are behind the store: slices of the recent events, or of history.
//
// Each step takes one stretch of revisions, reads it once, and hands it to every watcher that is
// somewhere in it (up to a bound). Steps alternate between the watchers farthest behind and those
// nearest to the present, so that neither a stream of newcomers from far back nor one of those
// slightly behind can starve the other.
#include <algorithm>

#include "base/check.h"
#include "etcd/errors.h"
#include "etcd/watch_hub.h"

namespace sluice::etcd {

Result<bool> WatchHub::catch_up_step() {
    Pick picked;
    std::vector<HistoryRange> ranges;
    {
        MutexLock lock(mutex_);
        SLUICE_CHECK(!stepping_);
        if (cancel_compacted()) return true;
        if (!pick(picked)) return false;
        if (picked.recent) {
            step_recent(picked);
            try_waiting_progress();
            return !behind_.empty();
        }
        select(picked);
        ranges = selected_ranges();
        stepping_ = true;
        ++stats_.history_reads;
    }
    SLUICE_TRY(step_history(picked, ranges));
    MutexLock lock(mutex_);
    return !behind_.empty();
}

// Chooses where to go on; false if nobody is behind.
bool WatchHub::pick(Pick& out) {
    std::erase_if(behind_, [](const auto& entry) { return entry.second.alone(); });
    if (behind_.empty()) return false;
    out.from = oldest_next_ ? behind_.begin()->first : behind_.rbegin()->first;
    oldest_next_ = !oldest_next_;
    SLUICE_ASSERT(out.from <= current_);
    out.recent = out.from >= recent_.first();
    if (!out.recent) {
        out.to = std::min(current_, recent_.first() - 1);
        return true;
    }
    std::size_t bytes = 0;
    std::size_t revisions = 0;
    out.to = out.from - 1;
    while (out.to < current_ && bytes < limits::kWatchSliceBytes &&
           revisions < limits::kWatchSliceRevisions) {
        bytes += recent_.at(++out.to).memory_bytes();
        ++revisions;
    }
    return true;
}

// Moves watchers that stand within the stretch to selected_.
void WatchHub::select(const Pick& pick) {
    SLUICE_ASSERT(selected_.alone());
    std::size_t count = 0;
    for (auto place = behind_.lower_bound(pick.from);
         place != behind_.end() && place->first <= pick.to; ++place) {
        WatcherLink& list = place->second;
        while (!list.alone()) {
            if (count++ == limits::kWatchSliceWatchers) return;
            WatcherLink& link = *list.next;
            link.unlink();
            selected_.push_back(link);
        }
    }
}

void WatchHub::unselect() {
    while (!selected_.alone()) {
        Watcher& watcher = as_watcher(*selected_.next);
        make_behind(watcher, watcher.next_revision);
    }
}

void WatchHub::step_recent(const Pick& pick) {
    select(pick);
    std::vector<const EncodedBatch*> batches;
    batches.reserve(static_cast<std::size_t>(pick.to - pick.from + 1));
    for (Revision revision = pick.from; revision <= pick.to; ++revision) {
        batches.push_back(&recent_.at(revision));
    }
    distribute(batches, pick.to + 1);
}

// What the selected watchers watch; nothing (all keys) if that is too much to list.
std::vector<HistoryRange> WatchHub::selected_ranges() {
    std::vector<HistoryRange> ranges;
    std::vector<WatchGroup*> seen;
    for (WatcherLink* link = selected_.next; link != &selected_; link = link->next) {
        WatchGroup& group = *as_watcher(*link).group;
        if (std::ranges::find(seen, &group) != seen.end()) continue;
        if (seen.size() == limits::kWatchSliceRangesMax) return {};
        seen.push_back(&group);
    }
    for (const WatchGroup* group : seen) {
        ranges.push_back({std::string(WatcherIndex::key_of(*group)),
                          std::string(WatcherIndex::range_end_of(*group))});
    }
    return ranges;
}

Status WatchHub::step_history(const Pick& pick, const std::vector<HistoryRange>& ranges) {
    auto slice = history_.read(pick.from, pick.to, ranges, limits::kWatchSliceBytes);
    std::vector<EncodedBatch> encoded;
    std::vector<const EncodedBatch*> batches;
    if (slice) {
        SLUICE_CHECK(slice->next > pick.from && slice->next <= pick.to + 1);
        encoded.reserve(slice->batches.size());
        for (const EventBatch& batch : slice->batches) {
            SLUICE_ASSERT(pick.from <= batch.revision && batch.revision < slice->next);
            batches.push_back(&encoded.emplace_back(batch));
        }
    }
    MutexLock lock(mutex_);
    SLUICE_ASSERT(stepping_);
    stepping_ = false;
    if (!slice) return history_failed(pick, slice.error());
    distribute(batches, slice->next);
    try_waiting_progress();
    return {};
}

// A compaction that overtook the read is no failure: the next step cancels those it has hit.
Status WatchHub::history_failed(const Pick& pick, const Error& error) {
    unselect();
    if (error.code() != Code::kOutOfRange) return fail(error.with_context("watch history"));
    compacted_ = std::max(compacted_, history_.compacted_revision());
    if (pick.from >= compacted_) return fail(error.with_context("watch history"));
    return {};
}

// Hands the events to the selected watchers, who have then seen all revisions below `next`.
void WatchHub::distribute(std::span<const EncodedBatch* const> batches, Revision next) {
    std::size_t events = 0;
    for (const EncodedBatch* batch : batches) events += batch->size();
    bodies_.begin({.head = head(next - 1),
                   .compacted = compacted_,
                   .response_bytes_max = options_.response_bytes_max,
                   .events_total = events});
    for (WatcherLink* link = selected_.next; link != &selected_; link = link->next) {
        bodies_.include(*as_watcher(*link).group);
    }
    for (const EncodedBatch* batch : batches) bodies_.add_for_included(index_, *batch);
    while (!selected_.alone()) {
        Watcher& watcher = as_watcher(*selected_.next);
        const Revision from = watcher.next_revision;
        if (from >= next) {
            make_behind(watcher, from);
        } else if (!deliver(watcher, bodies_.body(*watcher.group, from, watcher.variant()))) {
            make_parked(watcher, from);
        } else if (next <= current_) {
            make_behind(watcher, next);
        } else {
            watcher.next_revision = next;
            make_synced(watcher);
        }
    }
    bodies_.end();
}

// Ends a bounded number of watchers whose revision is gone; true if there were any.
bool WatchHub::cancel_compacted() {
    if (behind_.empty() || behind_.begin()->first >= compacted_) return false;
    // As in etcd: no revision in the header of this one.
    const SharedBytes body = control_body({.canceled = true, .compact_revision = compacted_});
    std::size_t count = 0;
    while (!behind_.empty() && behind_.begin()->first < compacted_) {
        WatcherLink& list = behind_.begin()->second;
        while (!list.alone() && count < limits::kWatchSliceWatchers) {
            ++count;
            Watcher& watcher = as_watcher(*list.next);
            if (watcher.stream->offer(watcher.id, {&body, 1})) {
                make_cancelled(watcher);
            } else {
                make_parked(watcher, watcher.next_revision);
            }
        }
        if (!list.alone()) break;
        behind_.erase(behind_.begin());
    }
    try_waiting_progress();
    return true;
}

}  // namespace sluice::etcd
