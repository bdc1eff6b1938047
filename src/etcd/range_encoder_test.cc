#include "etcd/range_encoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;

constexpr ResponseHead kHead{1, 2, 300, 4};

std::string encoded(RangeEncoder& encoder, bool more, std::int64_t count) {
    std::string bytes;
    append_response_head(kHead, bytes);
    return bytes.append(encoder.finish(more, count).view());
}

// The same answer by protobuf.
pb::RangeResponse by_protobuf(const std::vector<storage::KeyValue>& pairs, bool more,
                              std::int64_t count) {
    pb::RangeResponse response;
    response.mutable_header()->set_cluster_id(kHead.cluster_id);
    response.mutable_header()->set_member_id(kHead.member_id);
    response.mutable_header()->set_revision(kHead.revision);
    response.mutable_header()->set_raft_term(kHead.raft_term);
    for (const storage::KeyValue& kv : pairs) {
        auto* out = response.add_kvs();
        out->set_key(kv.key);
        out->set_value(kv.value);
        out->set_create_revision(kv.create_revision);
        out->set_mod_revision(kv.mod_revision);
        out->set_version(kv.version);
        out->set_lease(kv.lease);
    }
    response.set_more(more);
    response.set_count(count);
    return response;
}

// Sizes around every step of a varint's length, numbers of any size.
storage::KeyValue random_pair(std::mt19937_64& random) {
    const auto number = [&] { return static_cast<std::int64_t>(random() >> (random() % 64)); };
    const std::size_t sizes[] = {0, 1, 20, 120, 127, 128, 129, 4'000, 16'383, 16'384};
    return {std::string(1 + random() % 200, 'k'),
            std::string(sizes[random() % std::size(sizes)], 'v'),
            number(),
            number(),
            number(),
            static_cast<std::int64_t>(random() % 2 == 0 ? 0 : random())};
}

TEST(RangeEncoder, WritesWhatProtobufWrites) {
    std::mt19937_64 random(11);
    MemoryBudget budget(1 << 30);
    for (int round = 0; round < 500; ++round) {
        std::vector<storage::KeyValue> pairs;
        for (auto n = random() % 40; n > 0; --n) pairs.push_back(random_pair(random));
        const bool more = random() % 2 == 0;
        const auto count = static_cast<std::int64_t>(random() >> (1 + random() % 63));
        RangeEncoder encoder(budget);
        for (const storage::KeyValue& kv : pairs) encoder.on_kv(storage::KvView::of(kv));
        const std::string bytes = encoded(encoder, more, count);
        const pb::RangeResponse expected = by_protobuf(pairs, more, count);
        pb::RangeResponse read;
        ASSERT_TRUE(read.ParseFromString(bytes));
        ASSERT_EQ(read.ShortDebugString(), expected.ShortDebugString());
        ASSERT_EQ(bytes, expected.SerializeAsString()) << "round " << round;
    }
    EXPECT_EQ(budget.used(), 0U);
}

TEST(RangeEncoder, AnEmptyAnswerIsItsHeader) {
    MemoryBudget budget(1 << 20);
    RangeEncoder encoder(budget);
    EXPECT_TRUE(encoder.charge());
    EXPECT_EQ(encoded(encoder, false, 0), by_protobuf({}, false, 0).SerializeAsString());
}

TEST(RangeEncoder, IsCountedUntilItsReadersHaveGone) {
    const std::string value(100'000, 'v');
    MemoryBudget budget(250'000);
    RangeEncoder first(budget);
    first.on_kv({.key = "a", .value = value});
    EXPECT_EQ(budget.used(), 0U);
    EXPECT_TRUE(first.charge());
    const std::size_t held = budget.used();
    EXPECT_GE(held, value.size());
    EXPECT_TRUE(first.charge()) << "nothing new";
    EXPECT_EQ(budget.used(), held);
    {
        RangeEncoder second(budget);
        for (int i = 0; i < 2; ++i) second.on_kv({.key = "a", .value = value});
        EXPECT_FALSE(second.charge());
        EXPECT_EQ(budget.used(), held);
    }
    SharedBytes bytes = first.finish(false, 1);
    const std::size_t finished = budget.used();
    EXPECT_GE(finished, bytes.size());
    SharedBytes copy = bytes;
    bytes = {};
    EXPECT_EQ(budget.used(), finished);
    copy = {};
    EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace sluice::etcd
