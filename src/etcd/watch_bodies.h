// The response bodies of one delivery: which events go to which group, each different body encoded
// once however many watchers get it.
//
// A delivery is one published revision, or one slice of history. Watchers share a body if they are
// in the same group, want events from the same revision on, and have the same options; groups that
// get all events of the delivery share with each other.
//
// Not thread-safe: guarded by the hub's lock.
//
//   bodies.begin(settings);
//   bodies.add_for_synced(index, batch);
//   for (WatchGroup* group : bodies.groups()) deliver(bodies.body(*group, 0, watcher.variant()));
//   bodies.end();
#pragma once

#include <cstdint>
#include <vector>

#include "base/shared_bytes.h"
#include "etcd/event_encoding.h"
#include "etcd/watcher_index.h"

namespace sluice::etcd {

struct WatchBody {
    // One response, or several if it had to be split; none if no event is left after filtering.
    std::vector<SharedBytes> responses;
    std::uint32_t events = 0;
};

class WatchBodies {
  public:
    struct Settings {
        ResponseHead head;
        storage::Revision compacted = -1;
        std::size_t response_bytes_max = 0;
        std::size_t events_total = 0;  // of the whole delivery
    };

    void begin(const Settings& settings);
    // Takes the group into the delivery, without events yet.
    void include(WatchGroup& group);
    // Adds the batch's events to the groups that they fall into and that have watchers in step with
    // the store; or to those that include() has taken in. Batches come in order of revisions.
    void add_for_synced(const WatcherIndex& index, const EncodedBatch& batch);
    void add_for_included(const WatcherIndex& index, const EncodedBatch& batch);
    // The groups taken in so far.
    const std::vector<WatchGroup*>& groups() const { return groups_; }
    // What a watcher of the group gets that wants revisions from `from` on. Valid until the next
    // call.
    const WatchBody& body(const WatchGroup& group, storage::Revision from, std::uint8_t variant);
    void end();

    std::uint64_t encoded() const { return encoded_; }  // bodies since the start

  private:
    struct Made {
        std::size_t first = 0;
        std::uint8_t variant = 0;
        WatchBody body;
    };
    struct Delivery {
        std::vector<EventRef> events;
        std::vector<Made> made;
    };

    void add(WatchGroup& group, const EventRef& ref);
    WatchBody make(const std::vector<EventRef>& events, std::size_t first, std::uint8_t variant);
    bool must_split(std::uint8_t variant, const ResponseOptions& options) const;
    void split(ResponseOptions options, WatchBody& body);

    Settings settings_;
    std::vector<WatchGroup*> groups_;
    std::vector<Delivery> deliveries_;  // deliveries_[group.mark - 1]; kept for their capacity
    std::vector<Made> made_of_all_;     // shared by the groups that get every event
    std::vector<EventRef> chosen_;      // after filtering, of the body being made
    std::uint64_t encoded_ = 0;
};

}  // namespace sluice::etcd
