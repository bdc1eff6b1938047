#include "etcd/event_encoding.h"

#include <gtest/gtest.h>

#include "etcd/protobuf_wire.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace sluice::etcd {
namespace {

using storage::Event;
using storage::EventBatch;

EventBatch batch_of_two() {
    EventBatch batch{.revision = 300, .events = {}};
    Event put;
    put.kv = {"key", std::string(200, 'v'), 7, 300, 5, 99};
    put.prev = {"key", "old", 7, 250, 4, 98};
    Event gone;
    gone.type = Event::Type::kDelete;
    gone.sub = 1;
    gone.kv.key = "other";
    gone.kv.mod_revision = 300;
    gone.prev = {"other", "was", 20, 21, 2, 0};
    batch.events = {put, gone};
    return batch;
}

etcdserverpb::WatchResponse decode(const SharedBytes& bytes) {
    etcdserverpb::WatchResponse response;
    EXPECT_TRUE(response.ParseFromArray(bytes.view().data(), static_cast<int>(bytes.size())));
    // Nothing but what protobuf itself would write.
    EXPECT_EQ(response.ByteSizeLong(), bytes.size());
    EXPECT_EQ(response.SerializeAsString(), bytes.view());
    return response;
}

TEST(ProtobufWire, VarintSizes) {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{127}, std::uint64_t{128},
          std::uint64_t{16383}, std::uint64_t{16384}, std::uint64_t{1} << 35, UINT64_MAX}) {
        char buffer[16];
        EXPECT_EQ(static_cast<std::size_t>(wire::write_varint(buffer, value) - buffer),
                  wire::varint_size(value))
            << value;
    }
}

TEST(EventEncoding, BatchGivesKeysAndTypes) {
    const EncodedBatch batch(batch_of_two());
    EXPECT_EQ(batch.revision(), 300);
    ASSERT_EQ(batch.size(), 2U);
    EXPECT_EQ(batch.key(0), "key");
    EXPECT_EQ(batch.key(1), "other");
    EXPECT_FALSE(batch.is_delete(0));
    EXPECT_TRUE(batch.is_delete(1));
}

TEST(EventEncoding, ResponseIsWhatProtobufWrites) {
    const EncodedBatch batch(batch_of_two());
    const EventRef refs[] = {{&batch, 0}, {&batch, 1}};
    const ResponseHead head{1, UINT64_MAX, 300, 4};
    const auto response = decode(encode_response(head, refs, {.prev_kv = true}));
    EXPECT_EQ(response.header().cluster_id(), 1U);
    EXPECT_EQ(response.header().member_id(), UINT64_MAX);
    EXPECT_EQ(response.header().revision(), 300);
    EXPECT_EQ(response.header().raft_term(), 4U);
    EXPECT_FALSE(response.fragment());
    ASSERT_EQ(response.events_size(), 2);
    const auto& put = response.events(0);
    EXPECT_EQ(put.type(), mvccpb::Event::PUT);
    EXPECT_EQ(put.kv().value(), std::string(200, 'v'));
    EXPECT_EQ(put.kv().create_revision(), 7);
    EXPECT_EQ(put.kv().version(), 5);
    EXPECT_EQ(put.kv().lease(), 99);
    EXPECT_EQ(put.prev_kv().value(), "old");
    EXPECT_EQ(put.prev_kv().lease(), 98);
    const auto& gone = response.events(1);
    EXPECT_EQ(gone.type(), mvccpb::Event::DELETE);
    EXPECT_EQ(gone.kv().ShortDebugString(), "key: \"other\" mod_revision: 300");
    EXPECT_EQ(gone.prev_kv().value(), "was");
}

TEST(EventEncoding, PreviousVersionOnlyWhereWantedAndKnown) {
    EventBatch events = batch_of_two();
    const EncodedBatch batch(events);
    const EventRef ref{&batch, 0};
    EXPECT_FALSE(decode(encode_response({}, {&ref, 1}, {})).events(0).has_prev_kv());
    EXPECT_TRUE(decode(encode_response({}, {&ref, 1}, {.prev_kv = true, .compacted = 299}))
                    .events(0)
                    .has_prev_kv());
    EXPECT_FALSE(decode(encode_response({}, {&ref, 1}, {.prev_kv = true, .compacted = 300}))
                     .events(0)
                     .has_prev_kv());

    events.events[0].prev_known = false;
    const EncodedBatch unknown(events);
    const EventRef unknown_ref{&unknown, 0};
    EXPECT_FALSE(
        decode(encode_response({}, {&unknown_ref, 1}, {.prev_kv = true})).events(0).has_prev_kv());

    // A put that creates its key has none, whatever the store says.
    events.events[0].prev_known = true;
    events.events[0].kv.create_revision = 300;
    const EncodedBatch created(events);
    const EventRef created_ref{&created, 0};
    EXPECT_FALSE(
        decode(encode_response({}, {&created_ref, 1}, {.prev_kv = true})).events(0).has_prev_kv());
}

TEST(EventEncoding, SizesAddUp) {
    const EncodedBatch batch(batch_of_two());
    const EventRef refs[] = {{&batch, 0}, {&batch, 1}};
    for (const bool prev : {false, true}) {
        for (const bool more : {false, true}) {
            const ResponseOptions options{.prev_kv = prev, .more_follows = more};
            const SharedBytes body = encode_response({5, 6, 7, 8}, refs, options);
            EXPECT_EQ(body.size(), response_base_size({5, 6, 7, 8}, options) +
                                       event_field_size(refs[0], options) +
                                       event_field_size(refs[1], options));
            EXPECT_EQ(decode(body).fragment(), more);
        }
    }
}

}  // namespace
}  // namespace sluice::etcd
