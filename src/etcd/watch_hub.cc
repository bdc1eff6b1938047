#include "etcd/watch_hub.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::etcd {

WatchHub::WatchHub(WatchOptions options, const Clock& clock, WatchHistory& history,
                   WatchScheduler& scheduler)
    : options_(options),
      clock_(clock),
      history_(history),
      scheduler_(scheduler),
      current_(options.revision),
      compacted_(options.compacted),
      index_(options.seed),
      recent_(options.revision + 1, options.recent_bytes_max),
      jitter_(static_cast<std::minstd_rand::result_type>(options.seed)) {
    SLUICE_CHECK(current_ >= 1 && compacted_ <= current_);
    SLUICE_CHECK(options_.progress_interval_ns >= limits::kWatchProgressMinMs * kMillisecond);
}

WatchHub::~WatchHub() {
    MutexLock lock(mutex_);
    SLUICE_CHECK(stats_.streams == 0 && stats_.watchers == 0 && !stepping_);
    SLUICE_ASSERT(selected_.alone() && progress_waiters_.empty() && progress_deadlines_.empty());
}

void WatchHub::publish(const EventBatch& batch) {
    {
        MutexLock lock(mutex_);
        SLUICE_CHECK(batch.revision == current_ + 1);
        if (stats_.streams == 0) {
            current_ = batch.revision;
            recent_.reset(batch.revision + 1);
            return;
        }
    }
    EncodedBatch encoded(batch);
    MutexLock lock(mutex_);
    publish_encoded(std::move(encoded));
}

void WatchHub::publish_encoded(EncodedBatch batch) {
    SLUICE_CHECK(batch.revision() == current_ + 1 && recent_.end() == current_ + 1);
    current_ = batch.revision();
    deliver_published(batch);
    recent_.push(std::move(batch));
    try_waiting_progress();
}

void WatchHub::deliver_published(const EncodedBatch& batch) {
    bodies_.begin({.head = head(batch.revision()),
                   .compacted = compacted_,
                   .response_bytes_max = options_.response_bytes_max,
                   .events_total = batch.size()});
    bodies_.add_for_synced(index_, batch);
    for (WatchGroup* group : bodies_.groups()) {
        for (WatcherLink* link = group->synced.next; link != &group->synced;) {
            Watcher& watcher = as_watcher(*link);
            link = link->next;  // delivery may move the watcher to another list
            if (watcher.next_revision > batch.revision()) continue;
            const WatchBody& body = bodies_.body(*group, batch.revision(), watcher.variant());
            if (!deliver(watcher, body)) make_parked(watcher, batch.revision());
        }
    }
    bodies_.end();
}

// False if the stream is full.
bool WatchHub::deliver(Watcher& watcher, const WatchBody& body) {
    if (body.responses.empty()) return true;
    if (!watcher.stream->offer(watcher.id, body.responses)) return false;
    watcher.idle = false;
    stats_.messages += body.responses.size();
    stats_.events += body.events;
    return true;
}

ResponseHead WatchHub::head(Revision revision) const {
    return {options_.cluster_id, options_.member_id, revision, raft_term_};
}

void WatchHub::compacted(Revision revision) {
    MutexLock lock(mutex_);
    SLUICE_CHECK(revision <= current_);
    compacted_ = std::max(compacted_, revision);
    if (!behind_.empty() && behind_.begin()->first < compacted_) scheduler_.catch_up_wanted();
}

void WatchHub::set_raft_term(std::uint64_t term) {
    MutexLock lock(mutex_);
    raft_term_ = term;
}

Revision WatchHub::revision() const {
    MutexLock lock(mutex_);
    return current_;
}

WatchStats WatchHub::stats() const {
    MutexLock lock(mutex_);
    WatchStats stats = stats_;
    stats.groups = index_.size();
    stats.recent_bytes = recent_.bytes();
    stats.bodies = bodies_.encoded();
    return stats;
}

}  // namespace sluice::etcd
