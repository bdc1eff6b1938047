// A simulated store and client around the watch hub: single-threaded, deterministic, no I/O.
//
//   WatchWorld world;
//   WatchClient client(world);
//   client.stream().create({.key = "a"});
//   world.put("a", "1");
//   client.read_all();           // client.responses(): what a real client would have parsed
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etcd/watch_hub.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace sluice::etcd {

class ManualClock final : public Clock {
  public:
    TimeNs now_ns() const override { return now; }
    TimeNs wall_ns() const override { return now; }
    TimeNs now = 1000 * kSecond;
};

// The history of a store in memory, with compaction, and the hub that watches it.
class WatchWorld final : public WatchHistory, public WatchScheduler {
  public:
    explicit WatchWorld(WatchOptions options = {});

    // Transactions: each takes the next revision and is published.
    void put(std::string key, std::string value);
    void remove(std::string key);  // nothing if the key does not exist
    struct Change {
        std::string key;
        std::optional<std::string> value;  // none: delete
    };
    void write(const std::vector<Change>& changes);
    // The same without publishing: as in a state that another member sends.
    void write_unseen(const std::vector<Change>& changes);
    void compact(Revision revision);

    // Runs catch_up_step() until there is nothing to do; returns the number of steps.
    int catch_up();
    // One step.
    bool catch_up_once();

    Revision revision() const { return revision_; }
    Revision compacted_revision() const override { return compacted_; }
    const std::vector<EventBatch>& log() const { return log_; }  // revision 2 comes first
    WatchHub& hub() { return *hub_; }

    Result<HistorySlice> read(Revision from, Revision to, const std::vector<HistoryRange>& ranges,
                              std::size_t bytes_max) override;
    void catch_up_wanted() noexcept override { wanted = true; }
    void progress_wanted(TimeNs deadline_ns) noexcept override { progress_deadline = deadline_ns; }

    ManualClock clock;
    bool wanted = false;  // catch_up_wanted() was called since the last catch_up()
    TimeNs progress_deadline = kNever;
    std::optional<Error> read_error;             // the next read() fails with it
    std::optional<Revision> compact_under_read;  // the next read() finds this compaction done
    std::vector<HistoryRange> last_ranges;       // of the last read()

  private:
    std::vector<EventBatch> log_;
    std::map<std::string, storage::KeyValue> keys_;
    Revision revision_ = 1;
    Revision compacted_ = -1;
    std::unique_ptr<WatchHub> hub_;
};

// One stream and what its client has read from it.
class WatchClient final : public WatchSink {
  public:
    explicit WatchClient(WatchWorld& world) : stream_(world.hub().open_stream(*this)) {}

    WatchStream& stream() { return *stream_; }
    void close() { stream_.reset(); }
    // Reads up to about `bytes_max`, or everything, into responses().
    bool read(std::size_t bytes_max);
    void read_all();
    // Takes what was read: the next response, or all.
    etcdserverpb::WatchResponse next();
    std::deque<etcdserverpb::WatchResponse>& responses() { return responses_; }
    int signals() const { return signals_; }

    void on_messages() noexcept override { ++signals_; }

  private:
    int signals_ = 0;
    std::deque<etcdserverpb::WatchResponse> responses_;
    std::unique_ptr<WatchStream> stream_;
};

// "put a=1 @2 (was 0)" and "delete a @3", with commas between: what a response's events say.
std::string text_of_events(const etcdserverpb::WatchResponse& response);

// Read everything, then check the first response: it confirms a watcher, or refuses one.
void expect_created(WatchClient& client, std::int64_t id, Revision revision);
void expect_refused(WatchClient& client, std::string_view reason);
// Reads everything and takes the first response's text_of_events().
std::string next_events(WatchClient& client);

// Whether a key lies in a range given as in RangeRequest.
bool in_range(const std::string& key, const std::string& begin, const std::string& end);

}  // namespace sluice::etcd
