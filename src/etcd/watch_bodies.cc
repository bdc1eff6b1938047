#include "etcd/watch_bodies.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::etcd {
namespace {

// Events that a group's list keeps room for between deliveries.
constexpr std::size_t kEventsKept = 64;
constexpr std::size_t kDeliveriesKept = 256;
// What a watch id takes in front of a body at most.
constexpr std::size_t kWatchIdBytesMax = 11;  // given: a tag and a 64-bit varint

}  // namespace

void WatchBodies::begin(const Settings& settings) {
    SLUICE_ASSERT(groups_.empty() && made_of_all_.empty());
    settings_ = settings;
}

void WatchBodies::include(WatchGroup& group) {
    if (group.mark != 0) return;
    groups_.push_back(&group);
    group.mark = static_cast<std::uint32_t>(groups_.size());
    if (deliveries_.size() < groups_.size()) deliveries_.emplace_back();
    SLUICE_ASSERT(deliveries_[group.mark - 1].events.empty());
}

void WatchBodies::add_for_synced(const WatcherIndex& index, const EncodedBatch& batch) {
    for (std::uint32_t event = 0; event < batch.size(); ++event) {
        index.for_each_match(batch.key(event), [&](WatchGroup& group) {
            if (!group.synced.alone()) add(group, {&batch, event});
        });
    }
}

void WatchBodies::add_for_included(const WatcherIndex& index, const EncodedBatch& batch) {
    for (std::uint32_t event = 0; event < batch.size(); ++event) {
        index.for_each_match(batch.key(event), [&](WatchGroup& group) {
            if (group.mark != 0) add(group, {&batch, event});
        });
    }
}

void WatchBodies::add(WatchGroup& group, const EventRef& ref) {
    include(group);
    auto& events = deliveries_[group.mark - 1].events;
    SLUICE_ASSERT(events.empty() || events.back().batch->revision() <= ref.batch->revision());
    events.push_back(ref);
}

const WatchBody& WatchBodies::body(const WatchGroup& group, storage::Revision from,
                                   std::uint8_t variant) {
    SLUICE_ASSERT(group.mark != 0);
    Delivery& delivery = deliveries_[group.mark - 1];
    const auto& events = delivery.events;
    const auto wanted = std::ranges::lower_bound(
        events, from, {}, [](const EventRef& ref) { return ref.batch->revision(); });
    const auto first = static_cast<std::size_t>(wanted - events.begin());
    auto& made = events.size() == settings_.events_total ? made_of_all_ : delivery.made;
    for (const Made& known : made) {
        if (known.first == first && known.variant == variant) return known.body;
    }
    if (made.size() == limits::kWatchBodiesMadeMax) made.pop_back();
    made.push_back({first, variant, make(events, first, variant)});
    return made.back().body;
}

WatchBody WatchBodies::make(const std::vector<EventRef>& events, std::size_t first,
                            std::uint8_t variant) {
    chosen_.clear();
    for (std::size_t i = first; i < events.size(); ++i) {
        const bool is_delete = events[i].batch->is_delete(events[i].event);
        const bool filtered = variant & (is_delete ? Watcher::kNoDelete : Watcher::kNoPut);
        if (!filtered) chosen_.push_back(events[i]);
    }
    WatchBody body;
    body.events = static_cast<std::uint32_t>(chosen_.size());
    if (chosen_.empty()) return body;
    const ResponseOptions options{.prev_kv = (variant & Watcher::kPrevKv) != 0,
                                  .compacted = settings_.compacted};
    if (must_split(variant, options)) {
        split(options, body);
    } else {
        body.responses.push_back(encode_response(settings_.head, chosen_, options));
    }
    encoded_ += body.responses.size();
    return body;
}

bool WatchBodies::must_split(std::uint8_t variant, const ResponseOptions& options) const {
    if (!(variant & Watcher::kFragment) || chosen_.size() < 2) return false;
    std::size_t size = kWatchIdBytesMax + response_base_size(settings_.head, options);
    for (const EventRef& ref : chosen_) size += event_field_size(ref, options);
    return size >= settings_.response_bytes_max;
}

void WatchBodies::split(ResponseOptions options, WatchBody& body) {
    const std::vector<EventRef>& events = chosen_;
    std::size_t begin = 0;
    while (begin < events.size()) {
        options.more_follows = true;
        std::size_t size = kWatchIdBytesMax + response_base_size(settings_.head, options);
        std::size_t end = begin;
        // At least one event each, however large.
        do {
            size += event_field_size(events[end], options);
            ++end;
        } while (end < events.size() &&
                 size + event_field_size(events[end], options) < settings_.response_bytes_max);
        options.more_follows = end < events.size();
        body.responses.push_back(encode_response(
            settings_.head, std::span(events).subspan(begin, end - begin), options));
        begin = end;
    }
}

void WatchBodies::end() {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
        SLUICE_ASSERT(groups_[i]->mark == i + 1);
        groups_[i]->mark = 0;
        Delivery& delivery = deliveries_[i];
        delivery.events.clear();
        if (delivery.events.capacity() > kEventsKept) delivery.events.shrink_to_fit();
        delivery.made.clear();
    }
    groups_.clear();
    made_of_all_.clear();
    if (deliveries_.size() > kDeliveriesKept) {
        deliveries_.resize(kDeliveriesKept);
        groups_.shrink_to_fit();
    }
}

}  // namespace sluice::etcd
