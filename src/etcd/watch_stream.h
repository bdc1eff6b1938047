// One client's watch stream: its watchers, and the queue of responses that wait to be sent.
//
// A watcher is data (about 90 bytes, and as much again for a key or range that nobody else
// watches), never a fiber. Every call that changes watchers queues its answer on this stream, in
// the order etcd sends them: created before the watcher's events, events in order of revisions,
// canceled after the last of them.
//
// Threads: one thread at a time uses a stream (the fiber that serves it may move); the hub fills
// its queue from others. Nothing suspends; locks are short.
//
// Bounds: events go into the queue only while it holds less than WatchOptions::stream_bytes_max (or
// is empty); a watcher that finds it full falls behind and is served from history once the queue
// is half empty. Answers to requests always go in, so the server must not take further requests
// while congested(): limits::kWatchAnswerBytesMax of answers wait, however many events do.
//
//   auto stream = hub.open_stream(sink);
//   stream->create({.key = "/pods/", .range_end = "/pods0", .prev_kv = true});
//   std::vector<WatchMessage> out;
//   while (stream->take(out, 64 << 10)) { send(out); out.clear(); }
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "etcd/watch_types.h"
#include "etcd/watcher.h"

namespace sluice::etcd {

class WatchHub;

class WatchStream {
  public:
    // Removes its watchers; nothing is queued or signalled any more.
    ~WatchStream();
    WatchStream(const WatchStream&) = delete;
    WatchStream& operator=(const WatchStream&) = delete;

    // Answers `created`, with `canceled` and a reason if etcd refuses: start revision negative,
    // range empty, id taken. Events follow from start_revision on, or from now on if that is 0.
    void create(const WatchSpec& spec);

    // Answers `created` and `canceled` with that reason, without a watcher (permission denied,
    // ...).
    void refuse(std::string_view reason);

    // Answers `canceled`; an unknown id has no answer, as in etcd.
    void cancel(std::int64_t watch_id);

    // One answer with watch id -1 and the revision up to which every watcher of this stream has
    // been served, as soon as all of them are in step with the store (and at their start revision,
    // if that lies ahead). Several requests before that have one answer. No watcher: no answer.
    void request_progress();

    // Moves queued messages to the end of *out until they are `bytes_max` or more; false if there
    // was none. To be called when the connection can take them.
    bool take(std::vector<WatchMessage>& out, std::size_t bytes_max);

    // Answers to requests have piled up: take no further request until take() has made room. Events
    // do not count: a client may well send requests while a large one is on its way.
    bool congested() const;

    // Bytes queued now.
    std::size_t pending_bytes() const;

  private:
    friend class WatchHub;
    WatchStream(WatchHub& hub, WatchSink& sink) : hub_(hub), sink_(sink) {}

    // Queues all of it unless the queue is full; false: nothing queued, and take() will tell the
    // hub when there is room.
    bool offer(std::int64_t watch_id, std::span<const SharedBytes> responses);
    void queue_answer(std::int64_t watch_id, SharedBytes body);
    void push(WatchMessage message) SLUICE_REQUIRES(queue_mutex_);
    void forget_taken() SLUICE_REQUIRES(queue_mutex_);

    WatchHub& hub_;
    WatchSink& sink_;

    // Guarded by the hub's lock, which is taken before queue_mutex_.
    std::unordered_map<std::int64_t, Watcher> watchers_;
    WatcherLink parked_;  // fell behind because the queue was full
    std::int64_t next_id_ = 0;
    std::size_t behind_ = 0;         // watchers not in step with the store
    std::size_t ahead_ = 0;          // watchers whose start revision may lie ahead
    std::size_t with_progress_ = 0;  // watchers with progress_notify
    std::size_t cancelled_ = 0;      // watchers ended by a compaction, kept until cancel()
    bool progress_requested_ = false;
    TimeNs progress_deadline_ns_ = kNever;

    mutable Mutex queue_mutex_;
    std::vector<WatchMessage> queue_ SLUICE_GUARDED_BY(queue_mutex_);
    std::size_t head_ SLUICE_GUARDED_BY(queue_mutex_) = 0;  // queue_[0..head_) are taken
    std::size_t queue_bytes_ SLUICE_GUARDED_BY(queue_mutex_) = 0;
    std::size_t answer_bytes_ SLUICE_GUARDED_BY(queue_mutex_) = 0;  // of these, in answers
    bool was_full_ SLUICE_GUARDED_BY(queue_mutex_) = false;         // tell the hub when half empty
};

}  // namespace sluice::etcd
