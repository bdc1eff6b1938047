// Carries every committed event to every watcher of its key: the core of etcd's Watch service,
// without I/O.
//
// An event is encoded once, whoever watches: watchers of the same key or range with the same
// options share the bytes of the whole response but for the watch id, and of a transaction with one
// event all watchers share them. A watcher is in one of three states:
//
//            create(start 0 or ahead)                queue full
//        ------------------------------> SYNCED ----------------> PARKED
//                                          ^                         | take(): half empty
//   create(start in the past)              | has seen the last       v
//        -------------------------------> BEHIND <--------------------
//                                          | catch_up_step(): recent events, else history
//                                          +--> CANCELLED if its revision has been compacted
//
// The publisher only looks at SYNCED watchers; the others read the ring of recent events, or the
// store, in bounded slices that many watchers share, so that a slow client costs the writer nothing
// and holds at most its queue.
//
// Threads: publish() and compacted() by one publisher (the applier); catch_up_step() and
// progress_step() by one background fiber; streams by their connections; all at the same time.
// Nothing suspends or blocks but WatchHistory::read inside catch_up_step(), which runs without any
// lock. publish() holds the lock for about 0.1 us a matching watcher.
//
//   WatchHub hub(options, clock, history, scheduler);
//   hub.publish(batch);                        // after the store has committed, before the answer
//   while (*hub.catch_up_step()) checkpoint(); // when the scheduler says so
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "etcd/event_encoding.h"
#include "etcd/recent_events.h"
#include "etcd/watch_bodies.h"
#include "etcd/watch_stream.h"
#include "etcd/watch_types.h"
#include "etcd/watcher_index.h"

namespace sluice::etcd {

class WatchHub {
  public:
    // All references must outlive the hub; the streams must be gone before it.
    WatchHub(WatchOptions options, const Clock& clock, WatchHistory& history,
             WatchScheduler& scheduler);
    ~WatchHub();
    WatchHub(const WatchHub&) = delete;
    WatchHub& operator=(const WatchHub&) = delete;

    // The events of the next revision, which the history can already read. Every revision must be
    // published, in order, without a gap.
    void publish(const EventBatch& batch);

    // The store has been compacted: watchers that still need older revisions are cancelled.
    void compacted(Revision revision);

    // Goes into the header of later responses.
    void set_raft_term(std::uint64_t term);

    // One bounded piece of work for the watchers that are behind; true: there is more. An error is
    // the history's; nothing is lost, call again later.
    Result<bool> catch_up_step();

    // Sends the progress notifications that are due; returns when the next ones are (kNever: none).
    TimeNs progress_step();

    // `sink` must outlive the stream.
    std::unique_ptr<WatchStream> open_stream(WatchSink& sink);

    // The last published revision.
    Revision revision() const;
    WatchStats stats() const;

  private:
    friend class WatchStream;

    // Revisions that catch_up_step() is about to read: for watchers that need `from` or later.
    struct Pick {
        Revision from = 0;
        Revision to = 0;
        bool recent = false;  // from the ring, not from history
    };

    // A response without events.
    struct Control {
        Revision revision = 0;
        bool created = false;
        bool canceled = false;
        std::string_view reason = {};
        Revision compact_revision = 0;
    };

    // ---- for WatchStream (watch_hub_streams.cc)
    std::size_t stream_bytes_max() const { return options_.stream_bytes_max; }
    void create(WatchStream& stream, const WatchSpec& spec);
    void refuse(WatchStream& stream, std::string_view reason);
    void cancel(WatchStream& stream, std::int64_t watch_id);
    void request_progress(WatchStream& stream);
    void drained(WatchStream& stream);
    void close(WatchStream& stream);
    Watcher& add_watcher(WatchStream& stream, std::int64_t id, const WatchSpec& spec)
        SLUICE_REQUIRES(mutex_);
    std::string_view reason_to_refuse(const WatchStream& stream, const WatchSpec& spec)
        SLUICE_REQUIRES(mutex_);
    SharedBytes control_body(const Control& control) const SLUICE_REQUIRES(mutex_);
    void answer(WatchStream& stream, std::int64_t watch_id, Control control)
        SLUICE_REQUIRES(mutex_);
    void try_progress(WatchStream& stream) SLUICE_REQUIRES(mutex_);
    void try_waiting_progress() SLUICE_REQUIRES(mutex_);
    bool all_in_step(WatchStream& stream) SLUICE_REQUIRES(mutex_);
    void schedule_progress(WatchStream& stream) SLUICE_REQUIRES(mutex_);
    void notify_progress(WatchStream& stream) SLUICE_REQUIRES(mutex_);

    // ---- states of a watcher (watch_hub_states.cc); each takes it out of the list it is in
    void make_synced(Watcher& watcher) SLUICE_REQUIRES(mutex_);
    void make_behind(Watcher& watcher, Revision next) SLUICE_REQUIRES(mutex_);
    void make_parked(Watcher& watcher, Revision next) SLUICE_REQUIRES(mutex_);
    void make_cancelled(Watcher& watcher) SLUICE_REQUIRES(mutex_);
    void remove(Watcher& watcher) SLUICE_REQUIRES(mutex_);
    void leave_state(Watcher& watcher) SLUICE_REQUIRES(mutex_);

    // ---- delivery (watch_hub.cc)
    void publish_encoded(EncodedBatch batch) SLUICE_REQUIRES(mutex_);
    void deliver_published(const EncodedBatch& batch) SLUICE_REQUIRES(mutex_);
    bool deliver(Watcher& watcher, const WatchBody& body) SLUICE_REQUIRES(mutex_);
    ResponseHead head(Revision revision) const SLUICE_REQUIRES(mutex_);

    // ---- catching up (watch_hub_catch_up.cc)
    bool pick(Pick& out) SLUICE_REQUIRES(mutex_);
    void select(const Pick& pick) SLUICE_REQUIRES(mutex_);
    void unselect() SLUICE_REQUIRES(mutex_);
    bool cancel_compacted() SLUICE_REQUIRES(mutex_);
    void step_recent(const Pick& pick) SLUICE_REQUIRES(mutex_);
    Status step_history(const Pick& pick, const std::vector<HistoryRange>& ranges);
    Status history_failed(const Pick& pick, const Error& error) SLUICE_REQUIRES(mutex_);
    std::vector<HistoryRange> selected_ranges() SLUICE_REQUIRES(mutex_);
    void distribute(std::span<const EncodedBatch* const> batches, Revision next)
        SLUICE_REQUIRES(mutex_);

    const WatchOptions options_;
    const Clock& clock_;
    WatchHistory& history_;
    WatchScheduler& scheduler_;

    mutable Mutex mutex_;
    Revision current_ SLUICE_GUARDED_BY(mutex_);
    Revision compacted_ SLUICE_GUARDED_BY(mutex_);
    std::uint64_t raft_term_ SLUICE_GUARDED_BY(mutex_) = 0;
    WatcherIndex index_ SLUICE_GUARDED_BY(mutex_);
    // Watchers that are BEHIND, by the first revision that they still need.
    std::map<Revision, WatcherLink> behind_ SLUICE_GUARDED_BY(mutex_);
    WatcherLink selected_ SLUICE_GUARDED_BY(mutex_);  // BEHIND, and in the slice being read
    RecentEvents recent_ SLUICE_GUARDED_BY(mutex_);
    WatchBodies bodies_ SLUICE_GUARDED_BY(mutex_);
    std::vector<WatchStream*> progress_waiters_ SLUICE_GUARDED_BY(mutex_);
    std::set<std::pair<TimeNs, WatchStream*>> progress_deadlines_ SLUICE_GUARDED_BY(mutex_);
    std::minstd_rand jitter_ SLUICE_GUARDED_BY(mutex_);
    bool oldest_next_ SLUICE_GUARDED_BY(mutex_) = true;  // the next slice is for the oldest
    bool stepping_ SLUICE_GUARDED_BY(mutex_) = false;    // one catch_up_step() at a time
    WatchStats stats_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace sluice::etcd
