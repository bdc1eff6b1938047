// Events as the bytes of protobuf messages, made once and put together many times.
//
// EncodedBatch holds the events of one revision, each in two pieces: what every watcher gets (type
// and kv of mvccpb.Event) and the previous version, which only some get. encode_response() copies
// the pieces of chosen events into the shareable part of a WatchResponse: everything but the watch
// id.
//
// Immutable after construction; any thread. Cost: one copy of the values into the batch, one more
// for each different body.
//
//   EncodedBatch batch(events);
//   EventRef ref{&batch, 0};
//   SharedBytes body = encode_response(head, {&ref, 1}, {.prev_kv = true});
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_bytes.h"
#include "etcd/key_value_wire.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

class EncodedBatch {
  public:
    explicit EncodedBatch(const storage::EventBatch& batch);

    storage::Revision revision() const { return revision_; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(events_.size()); }
    std::string_view key(std::uint32_t event) const {
        const Place& place = events_[event];
        return view(place.begin + place.key_offset, place.key_size);
    }
    bool is_delete(std::uint32_t event) const { return events_[event].is_delete; }
    // Fields 1 and 2 of mvccpb.Event.
    std::string_view change(std::uint32_t event) const {
        return view(events_[event].begin, events_[event].change_size);
    }
    // Field 3, or nothing.
    std::string_view previous(std::uint32_t event) const {
        const Place& place = events_[event];
        return view(place.begin + place.change_size, place.previous_size);
    }
    // What it holds, roughly.
    std::size_t memory_bytes() const {
        return sizeof *this + bytes_.capacity() + events_.capacity() * sizeof(Place);
    }

  private:
    struct Place {
        std::size_t begin = 0;  // a delete of a range may be longer than 4 GiB; no event is
        std::uint32_t change_size = 0;
        std::uint32_t previous_size = 0;
        std::uint32_t key_offset = 0;  // from begin
        std::uint32_t key_size = 0;
        bool is_delete = false;
    };

    std::string_view view(std::size_t begin, std::size_t size) const {
        return std::string_view(bytes_).substr(begin, size);
    }
    void append(const storage::Event& event);

    storage::Revision revision_ = 0;
    std::string bytes_;
    std::vector<Place> events_;
};

struct EventRef {
    const EncodedBatch* batch = nullptr;
    std::uint32_t event = 0;
};

struct ResponseOptions {
    bool prev_kv = false;
    // Previous versions of events at or below this revision are compacted: not sent.
    storage::Revision compacted = -1;
    bool more_follows = false;  // the response's `fragment` field
};

// Bytes of one event as a field of the response.
std::size_t event_field_size(const EventRef& ref, const ResponseOptions& options);
// Bytes of the response without events and watch id.
std::size_t response_base_size(const ResponseHead& head, const ResponseOptions& options);

// A WatchResponse without its watch id.
SharedBytes encode_response(const ResponseHead& head, std::span<const EventRef> events,
                            const ResponseOptions& options);

}  // namespace sluice::etcd
