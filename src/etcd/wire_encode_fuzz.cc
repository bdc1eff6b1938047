// Any values: what our encoders write is, byte for byte, what protobuf writes of the same message;
// and a log entry is read as protobuf reads it, or refused.
//   etcd_wire_encode_fuzz test/corpus/etcd_wire_encode_fuzz
//
// Input: numbers and strings in the order in which the messages below take them.
#include <google/protobuf/arena.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/fuzz_input_testing.h"
#include "base/memory_budget.h"
#include "etcd/entry.h"
#include "etcd/event_encoding.h"
#include "etcd/range_encoder.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;
using storage::Event;
using storage::KeyValue;

class Input : public FuzzInput {
  public:
    using FuzzInput::FuzzInput;

    // Up to 64 bits: a byte says how many follow.
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (unsigned left = byte() % 9; left > 0; --left) value = value << 8 | byte();
        return value;
    }
    std::int64_t integer() { return static_cast<std::int64_t>(number()); }
    // Some bytes, repeated: long strings cost no long input.
    std::string text() {
        const std::uint8_t shape = byte();
        const std::string part(take(shape & 15));
        std::string text = part;
        for (unsigned more = shape >> 4; more > 0; --more) text += text.size() > 4000 ? "" : text;
        return text;
    }
    KeyValue pair() {
        return {.key = text(),
                .value = text(),
                .create_revision = integer(),
                .mod_revision = integer(),
                .version = integer(),
                .lease = integer()};
    }
};

void require(const char* what, std::string_view ours, const google::protobuf::Message& theirs) {
    if (ours == theirs.SerializeAsString()) return;
    std::fprintf(stderr, "%s: not as protobuf writes it: %s\n", what,
                 theirs.ShortDebugString().c_str());
    std::abort();
}

void fill(const KeyValue& kv, mvccpb::KeyValue& out) {
    out.set_key(kv.key);
    out.set_value(kv.value);
    out.set_create_revision(kv.create_revision);
    out.set_mod_revision(kv.mod_revision);
    out.set_version(kv.version);
    out.set_lease(kv.lease);
}

void fill(const ResponseHead& head, pb::ResponseHeader& out) {
    out.set_cluster_id(head.cluster_id);
    out.set_member_id(head.member_id);
    out.set_revision(head.revision);
    out.set_raft_term(head.raft_term);
}

void check_kv_responses(const ResponseHead& head, Input& input) {
    std::vector<KeyValue> pairs(input.byte() % 4);
    std::ranges::generate(pairs, [&] { return input.pair(); });
    const std::int64_t count = input.integer();
    const KeyValue* first = pairs.empty() ? nullptr : &pairs.front();

    std::string out;
    pb::PutResponse put;
    fill(head, *put.mutable_header());
    if (first) fill(*first, *put.mutable_prev_kv());
    append_put_response(head, first, out);
    require("put", out, put);

    out.clear();
    pb::RangeResponse range;
    fill(head, *range.mutable_header());
    if (first) fill(*first, *range.add_kvs());
    range.set_count(count);
    const storage::KvView view = first ? storage::KvView::of(*first) : storage::KvView{};
    append_range_response(head, first ? &view : nullptr, count, out);
    require("range of one", out, range);

    out.clear();
    pb::DeleteRangeResponse gone;
    fill(head, *gone.mutable_header());
    gone.set_deleted(count);
    for (const KeyValue& kv : pairs) fill(kv, *gone.add_prev_kvs());
    append_delete_response(head, count, pairs, out);
    require("delete", out, gone);

    out.clear();
    range.clear_kvs();
    for (const KeyValue& kv : pairs) fill(kv, *range.add_kvs());
    range.set_more((input.byte() & 1) != 0);
    MemoryBudget budget(1 << 20);
    RangeEncoder encoder(budget);
    for (const KeyValue& kv : pairs) encoder.on_kv(storage::KvView::of(kv));
    append_response_head(head, out);
    const SharedBytes rest = encoder.finish(range.more(), count);
    require("range", out.append(rest.view()), range);
}

void check_watch_response(const ResponseHead& head, Input& input) {
    const ResponseOptions options = {.prev_kv = (input.byte() & 1) != 0,
                                     .compacted = input.integer(),
                                     .more_follows = (input.byte() & 1) != 0};
    storage::EventBatch batch{.revision = input.integer(), .events = {}};
    pb::WatchResponse expected;
    fill(head, *expected.mutable_header());
    expected.set_fragment(options.more_follows);
    for (unsigned left = input.byte() % 4; left > 0; --left) {
        const std::uint8_t shape = input.byte();
        Event event{.type = (shape & 1) != 0 ? Event::Type::kDelete : Event::Type::kPut,
                    .sub = left,
                    .kv = input.pair(),
                    .prev = input.pair(),
                    .prev_known = (shape & 2) == 0};
        event.kv.mod_revision = batch.revision;
        auto& out = *expected.add_events();
        out.set_type(static_cast<mvccpb::Event::EventType>(event.type));
        fill(event.kv, *out.mutable_kv());
        const bool created =
            event.type == Event::Type::kPut && event.kv.create_revision == event.kv.mod_revision;
        if (options.prev_kv && batch.revision > options.compacted && event.prev_known &&
            event.prev.version != 0 && !created)
            fill(event.prev, *out.mutable_prev_kv());
        batch.events.push_back(std::move(event));
    }
    const EncodedBatch encoded(batch);
    std::vector<EventRef> refs;
    for (std::uint32_t i = 0; i < encoded.size(); ++i) refs.push_back({&encoded, i});
    require("watch", encode_response(head, refs, options).view(), expected);
}

// What is read is a request of that kind with those bytes, to protobuf as well.
void check_entry(std::string_view bytes) {
    const auto entry = read_entry(bytes);
    if (!entry) return;
    google::protobuf::Arena arena;
    auto* request = google::protobuf::Arena::CreateMessage<internal::Request>(&arena);
    const bool parses = request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    // read_entry leaves the inside of header and request to their readers.
    if (parses && static_cast<int>(request->request_case()) != static_cast<int>(entry->kind))
        std::abort();
    const EntryHead head(entry->kind, entry->request.size());
    const std::string again = std::string(head.bytes()) + std::string(entry->request);
    const auto twice = read_entry(again);
    if (!twice || twice->kind != entry->kind || twice->request != entry->request) std::abort();
}

}  // namespace
}  // namespace sluice::etcd

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    sluice::etcd::check_entry(bytes);
    sluice::etcd::Input input(bytes);
    const sluice::etcd::ResponseHead head = {.cluster_id = input.number(),
                                             .member_id = input.number(),
                                             .revision = input.integer(),
                                             .raft_term = input.number()};
    sluice::etcd::check_kv_responses(head, input);
    sluice::etcd::check_watch_response(head, input);
    return 0;
}
