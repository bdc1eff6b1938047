#include "etcd/event_encoding.h"

#include "base/check.h"
#include "etcd/protobuf_wire.h"

namespace sluice::etcd {
namespace {

using storage::Event;

// Field numbers of proto/mvccpb/kv.proto and proto/etcdserverpb/watch.proto.
constexpr std::uint32_t kEventType = 1;
constexpr std::uint32_t kEventKv = 2;
constexpr std::uint32_t kEventPrevKv = 3;
constexpr std::uint32_t kResponseFragment = 7;
constexpr std::uint32_t kResponseEvents = 11;

bool has_previous(const Event& event) {
    const bool created =
        event.type == Event::Type::kPut && event.kv.create_revision == event.kv.mod_revision;
    return !created && event.prev_known && event.prev.version != 0;
}

// The previous version to be sent with the event, if any.
std::string_view previous_of(const EventRef& ref, const ResponseOptions& options) {
    if (!options.prev_kv || ref.batch->revision() <= options.compacted) return {};
    return ref.batch->previous(ref.event);
}

}  // namespace

EncodedBatch::EncodedBatch(const storage::EventBatch& batch) : revision_(batch.revision) {
    std::size_t size = 0;
    for (const Event& event : batch.events) {
        size += wire::int_size(kEventType, 1) + wire::pair_size(kEventKv, event.kv);
        if (has_previous(event)) size += wire::pair_size(kEventPrevKv, event.prev);
    }
    bytes_.reserve(size);
    events_.reserve(batch.events.size());
    for (const Event& event : batch.events) append(event);
    SLUICE_ASSERT(bytes_.size() <= size);
}

void EncodedBatch::append(const Event& event) {
    SLUICE_ASSERT(event.kv.mod_revision == revision_);
    const auto type = static_cast<std::uint64_t>(event.type);
    const std::size_t kv = wire::key_value_size(event.kv);
    const std::size_t head =
        wire::int_size(kEventType, type) + wire::nested_size(kEventKv, kv) - kv;
    const bool with_previous = has_previous(event);

    Place place;
    place.begin = bytes_.size();
    place.change_size = static_cast<std::uint32_t>(head + kv);
    place.previous_size =
        with_previous ? static_cast<std::uint32_t>(wire::pair_size(kEventPrevKv, event.prev)) : 0;
    // The key is the first field of kv.
    const std::size_t key_head =
        wire::bytes_size(wire::kKeyValueKey, event.kv.key) - event.kv.key.size();
    place.key_offset = static_cast<std::uint32_t>(head + key_head);
    place.key_size = static_cast<std::uint32_t>(event.kv.key.size());
    place.is_delete = event.type == Event::Type::kDelete;

    bytes_.resize(bytes_.size() + place.change_size + place.previous_size);
    char* out = bytes_.data() + place.begin;
    out = wire::write_int(out, kEventType, type);
    out = wire::write_nested_head(out, kEventKv, kv);
    out = wire::write_key_value(out, event.kv);
    if (with_previous) out = wire::write_pair(out, kEventPrevKv, event.prev);
    SLUICE_ASSERT(out == bytes_.data() + bytes_.size());
    events_.push_back(place);
}

std::size_t event_field_size(const EventRef& ref, const ResponseOptions& options) {
    return wire::nested_size(
        kResponseEvents, ref.batch->change(ref.event).size() + previous_of(ref, options).size());
}

std::size_t response_base_size(const ResponseHead& head, const ResponseOptions& options) {
    return wire::header_size(head) + wire::int_size(kResponseFragment, options.more_follows);
}

SharedBytes encode_response(const ResponseHead& head, std::span<const EventRef> events,
                            const ResponseOptions& options) {
    std::size_t size = response_base_size(head, options);
    for (const EventRef& ref : events) size += event_field_size(ref, options);
    return SharedBytes::make(size, [&](char* begin) {
        char* out = wire::write_header(begin, head);
        out = wire::write_int(out, kResponseFragment, options.more_follows);
        for (const EventRef& ref : events) {
            const std::string_view change = ref.batch->change(ref.event);
            const std::string_view previous = previous_of(ref, options);
            out = wire::write_nested_head(out, kResponseEvents, change.size() + previous.size());
            out = wire::write_raw(wire::write_raw(out, change), previous);
        }
        SLUICE_CHECK(out == begin + size);
    });
}

}  // namespace sluice::etcd
