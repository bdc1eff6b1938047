// What a stream asks of the hub: watchers created and cancelled, progress, room in the queue.
#include <algorithm>

#include "base/check.h"
#include "etcd/errors.h"
#include "etcd/watch_hub.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace sluice::etcd {
namespace {

constexpr std::int64_t kNoWatchId = -1;
constexpr std::string_view kSmallestKey("\0", 1);
constexpr std::string_view kToTheEnd("\0", 1);

bool is_empty_range(std::string_view key, std::string_view range_end) {
    return !range_end.empty() && range_end != kToTheEnd && key >= range_end;
}

std::uint8_t options_of(const WatchSpec& spec) {
    return static_cast<std::uint8_t>(
        (spec.no_put ? Watcher::kNoPut : 0) | (spec.no_delete ? Watcher::kNoDelete : 0) |
        (spec.prev_kv ? Watcher::kPrevKv : 0) | (spec.fragment ? Watcher::kFragment : 0) |
        (spec.progress_notify ? Watcher::kProgressNotify : 0));
}

}  // namespace

std::unique_ptr<WatchStream> WatchHub::open_stream(WatchSink& sink) {
    std::unique_ptr<WatchStream> stream(new WatchStream(*this, sink));
    MutexLock lock(mutex_);
    ++stats_.streams;
    return stream;
}

void WatchHub::close(WatchStream& stream) {
    MutexLock lock(mutex_);
    for (auto& [id, watcher] : stream.watchers_) remove(watcher);
    SLUICE_ASSERT(stream.behind_ == 0 && stream.ahead_ == 0 && stream.cancelled_ == 0);
    stream.watchers_.clear();
    std::erase(progress_waiters_, &stream);
    schedule_progress(stream);
    SLUICE_ASSERT(stream.progress_deadline_ns_ == kNever);
    SLUICE_ASSERT(stats_.streams > 0);
    --stats_.streams;
}

SharedBytes WatchHub::control_body(const Control& control) const {
    etcdserverpb::WatchResponse response;
    const ResponseHead from = head(control.revision);
    auto* header = response.mutable_header();
    header->set_cluster_id(from.cluster_id);
    header->set_member_id(from.member_id);
    header->set_revision(from.revision);
    header->set_raft_term(from.raft_term);
    response.set_created(control.created);
    response.set_canceled(control.canceled);
    response.set_cancel_reason(control.reason.data(), control.reason.size());
    response.set_compact_revision(control.compact_revision);
    const std::size_t size = response.ByteSizeLong();
    return SharedBytes::make(size, [&](char* out) {
        response.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out));
    });
}

void WatchHub::answer(WatchStream& stream, std::int64_t watch_id, Control control) {
    control.revision = current_;
    stream.queue_answer(watch_id, control_body(control));
}

void WatchHub::refuse(WatchStream& stream, std::string_view reason) {
    MutexLock lock(mutex_);
    answer(stream, kNoWatchId, {.created = true, .canceled = true, .reason = reason});
}

// Why etcd would not create that watcher; empty if it would.
std::string_view WatchHub::reason_to_refuse(const WatchStream& stream, const WatchSpec& spec) {
    if (spec.start_revision < 0) return errors::kCompacted.text;
    const std::string_view key = spec.key.empty() ? kSmallestKey : spec.key;
    if (is_empty_range(key, spec.range_end)) return errors::kWatcherEmptyRange;
    if (spec.watch_id != 0 && stream.watchers_.contains(spec.watch_id)) {
        return errors::kWatcherDuplicateId;
    }
    if (stream.watchers_.size() >= limits::kWatchersPerStreamMax) {
        return errors::kRequestTooManyRequests.text;
    }
    return {};
}

void WatchHub::create(WatchStream& stream, const WatchSpec& spec) {
    MutexLock lock(mutex_);
    if (const auto reason = reason_to_refuse(stream, spec); !reason.empty()) {
        answer(stream, kNoWatchId, {.created = true, .canceled = true, .reason = reason});
        return;
    }
    std::int64_t id = spec.watch_id;
    if (id == 0) {
        while (stream.watchers_.contains(stream.next_id_)) ++stream.next_id_;
        id = stream.next_id_++;
    }
    // Before the watcher exists, so that nothing of it can come first.
    answer(stream, id, {.created = true});
    Watcher& watcher = add_watcher(stream, id, spec);
    if (spec.start_revision == 0 || spec.start_revision > current_) {
        watcher.next_revision = std::max(spec.start_revision, current_ + 1);
        watcher.may_lead = spec.start_revision != 0;
        if (watcher.may_lead) ++stream.ahead_;
        make_synced(watcher);
    } else {
        make_behind(watcher, spec.start_revision);
    }
}

Watcher& WatchHub::add_watcher(WatchStream& stream, std::int64_t id, const WatchSpec& spec) {
    const auto [place, fresh] = stream.watchers_.try_emplace(id);
    SLUICE_CHECK(fresh);
    Watcher& watcher = place->second;
    watcher.stream = &stream;
    watcher.id = id;
    watcher.options = options_of(spec);
    watcher.group = &index_.acquire(spec.key.empty() ? kSmallestKey : spec.key, spec.range_end);
    ++stats_.watchers;
    if (spec.progress_notify) {
        ++stream.with_progress_;
        schedule_progress(stream);
    }
    return watcher;
}

void WatchHub::cancel(WatchStream& stream, std::int64_t watch_id) {
    MutexLock lock(mutex_);
    const auto place = stream.watchers_.find(watch_id);
    if (place == stream.watchers_.end()) return;
    remove(place->second);
    stream.watchers_.erase(place);
    schedule_progress(stream);
    answer(stream, watch_id, {.canceled = true});
    // The one that kept a progress answer waiting may be gone now.
    try_waiting_progress();
}

void WatchHub::request_progress(WatchStream& stream) {
    MutexLock lock(mutex_);
    if (!stream.progress_requested_) {
        stream.progress_requested_ = true;
        progress_waiters_.push_back(&stream);
    }
    try_waiting_progress();
}

void WatchHub::try_waiting_progress() {
    if (progress_waiters_.empty()) return;
    std::erase_if(progress_waiters_, [this](WatchStream* stream) SLUICE_REQUIRES(mutex_) {
        try_progress(*stream);
        return !stream->progress_requested_;
    });
}

// Answers the stream's request for progress, if that can be done now.
void WatchHub::try_progress(WatchStream& stream) {
    SLUICE_ASSERT(stream.progress_requested_);
    if (stream.watchers_.size() == stream.cancelled_) {
        stream.progress_requested_ = false;
        return;
    }
    if (!all_in_step(stream)) return;
    const SharedBytes body = encode_response(head(current_), {}, {});
    if (stream.offer(kNoWatchId, {&body, 1})) stream.progress_requested_ = false;
}

bool WatchHub::all_in_step(WatchStream& stream) {
    if (stream.behind_ > 0) return false;
    if (stream.ahead_ == 0) return true;
    for (auto& [id, watcher] : stream.watchers_) {
        if (watcher.may_lead && watcher.next_revision <= current_) {
            watcher.may_lead = false;
            --stream.ahead_;
        }
    }
    return stream.ahead_ == 0;
}

void WatchHub::drained(WatchStream& stream) {
    MutexLock lock(mutex_);
    while (!stream.parked_.alone()) {
        Watcher& watcher = as_watcher(*stream.parked_.next);
        make_behind(watcher, watcher.next_revision);
    }
    try_waiting_progress();
}

// Sets, moves or removes the time of the stream's next progress notifications.
void WatchHub::schedule_progress(WatchStream& stream) {
    const bool wanted = stream.with_progress_ > 0;
    if (wanted == (stream.progress_deadline_ns_ != kNever)) return;
    if (!wanted) {
        progress_deadlines_.erase({stream.progress_deadline_ns_, &stream});
        stream.progress_deadline_ns_ = kNever;
        return;
    }
    // Jitter: watchers that were created together must not be notified together for ever.
    const auto tenth = static_cast<std::uint64_t>(options_.progress_interval_ns / 10);
    const auto jitter = static_cast<TimeNs>(jitter_() * std::uint64_t{kMicrosecond} % tenth);
    stream.progress_deadline_ns_ = clock_.now_ns() + options_.progress_interval_ns + jitter;
    progress_deadlines_.emplace(stream.progress_deadline_ns_, &stream);
    if (progress_deadlines_.begin()->second == &stream) {
        scheduler_.progress_wanted(stream.progress_deadline_ns_);
    }
}

TimeNs WatchHub::progress_step() {
    MutexLock lock(mutex_);
    const TimeNs now = clock_.now_ns();
    while (!progress_deadlines_.empty() && progress_deadlines_.begin()->first <= now) {
        WatchStream& stream = *progress_deadlines_.begin()->second;
        progress_deadlines_.erase(progress_deadlines_.begin());
        stream.progress_deadline_ns_ = kNever;
        notify_progress(stream);
        schedule_progress(stream);
    }
    return progress_deadlines_.empty() ? kNever : progress_deadlines_.begin()->first;
}

// Tells the watchers that had no event since the last time, and are in step, where the store is.
void WatchHub::notify_progress(WatchStream& stream) {
    const SharedBytes body = encode_response(head(current_), {}, {});
    for (auto& [id, watcher] : stream.watchers_) {
        if (!(watcher.options & Watcher::kProgressNotify)) continue;
        const bool ahead = watcher.may_lead && watcher.next_revision > current_;
        if (watcher.idle && watcher.state == WatcherState::kSynced && !ahead) {
            // A full stream has no need of it.
            if (stream.offer(id, {&body, 1})) ++stats_.messages;
        }
        watcher.idle = true;
    }
}

}  // namespace sluice::etcd
