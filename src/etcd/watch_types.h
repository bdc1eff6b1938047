// What the watch hub and those around it hand to each other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/shared_bytes.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

using storage::EventBatch;
using storage::Revision;

// A watcher to be created, as in etcdserverpb.WatchCreateRequest (same meaning of every field).
struct WatchSpec {
    std::string_view key = {};
    std::string_view range_end = {};
    Revision start_revision = 0;
    std::int64_t watch_id = 0;
    bool progress_notify = false;
    bool prev_kv = false;
    bool fragment = false;
    bool no_put = false;
    bool no_delete = false;
};

// One serialised WatchResponse in two parts, to be sent one behind the other: a few bytes of its
// own, and a body that it shares with other watchers.
class WatchMessage {
  public:
    WatchMessage() = default;
    // A response with the watch id before a shared body (protobuf fields may come in any order).
    WatchMessage(std::int64_t watch_id, SharedBytes body);

    // Whether it answers a request (created, canceled) rather than carrying events or progress.
    bool is_answer() const { return is_answer_; }
    void mark_as_answer() { is_answer_ = true; }

    std::string_view prefix() const { return {prefix_.data(), prefix_size_}; }
    const SharedBytes& body() const { return body_; }
    std::size_t size() const { return prefix_size_ + body_.size(); }

  private:
    std::array<char, 11> prefix_;
    std::uint8_t prefix_size_ = 0;
    bool is_answer_ = false;
    SharedBytes body_;
};

// The reader of one stream: told when there is something to take.
class WatchSink {
  public:
    virtual ~WatchSink() = default;
    // The stream's queue was empty and is not any more. Called with the hub's locks held, on the
    // publisher's, the catcher's or the stream's own thread: only wake somebody who will call
    // WatchStream::take(); no call back into hub or stream, no blocking.
    virtual void on_messages() noexcept = 0;
};

// Who runs the hub's background work.
class WatchScheduler {
  public:
    virtual ~WatchScheduler() = default;
    // There is work for WatchHub::catch_up_step(). Called with the hub's lock held; only wake.
    virtual void catch_up_wanted() noexcept = 0;
    // WatchHub::progress_step() is wanted at `deadline_ns`, sooner than said before. Same rules.
    virtual void progress_wanted(TimeNs deadline_ns) noexcept = 0;
};

struct HistorySlice {
    std::vector<EventBatch> batches;  // whole revisions, ascending
    Revision next = 0;  // all revisions below it have been read; above the first asked
};

struct HistoryRange {
    std::string key;
    std::string range_end;  // as in RangeRequest: empty one key, "\0" to the end
};

// The past, as the store keeps it (MvccStore::read_history does all of this).
class WatchHistory {
  public:
    virtual ~WatchHistory() = default;
    // Events of revisions [from, to], at most about `bytes_max` of them, at least one revision.
    // Only keys in `ranges` are needed (none: all keys); more does no harm. May block or suspend.
    // kOutOfRange: `from` is below compacted_revision().
    virtual Result<HistorySlice> read(Revision from, Revision to,
                                      const std::vector<HistoryRange>& ranges,
                                      std::size_t bytes_max) = 0;
    virtual Revision compacted_revision() const = 0;
};

struct WatchOptions {
    std::uint64_t cluster_id = 0;
    std::uint64_t member_id = 0;
    Revision revision = 1;    // the store's at the start
    Revision compacted = -1;  // the store's at the start; -1: never compacted
    // A response of a watcher with `fragment` is split before it reaches this size:
    // --max-request-bytes + 512 KiB.
    std::size_t response_bytes_max = (1536 << 10) + (512 << 10);
    TimeNs progress_interval_ns = 600 * kSecond;  // plus up to a tenth of jitter a stream
    std::size_t stream_bytes_max = limits::kWatchStreamBytesMax;
    std::size_t recent_bytes_max = limits::kWatchRecentBytesMax;
    std::uint64_t seed = 1;  // of the jitter and the index; a secret of this process
};

struct WatchStats {
    std::uint64_t streams = 0;
    std::uint64_t watchers = 0;  // of these, `slow` are not in step with the store
    std::uint64_t slow = 0;
    std::uint64_t groups = 0;         // different keys and ranges
    std::uint64_t recent_bytes = 0;   // events kept for those slightly behind
    std::uint64_t bodies = 0;         // responses encoded since the start
    std::uint64_t messages = 0;       // responses queued since the start, each from some body
    std::uint64_t events = 0;         // events in them
    std::uint64_t history_reads = 0;  // calls of WatchHistory::read since the start
};

}  // namespace sluice::etcd
