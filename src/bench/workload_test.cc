#include "bench/workload.h"

#include <gtest/gtest.h>

#include <set>

#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::bench {
namespace {

namespace pb = ::etcdserverpb;

Options options_for(WorkloadKind kind) {
    Options options;
    options.workload = kind;
    options.keys = 1'000;
    options.value_bytes = 64;
    return options;
}

template <class Request>
Request next(Workload& workload) {
    std::string bytes;
    workload.build(bytes);
    Request request;
    EXPECT_TRUE(request.ParseFromString(bytes));
    return request;
}

std::string put_response(std::int64_t revision) {
    pb::PutResponse response;
    response.mutable_header()->set_cluster_id(77);
    response.mutable_header()->set_revision(revision);
    return response.SerializeAsString();
}

TEST(PutWorkload, HasKeysAndValuesOfTheAskedSizes) {
    const Options options = options_for(WorkloadKind::kPut);
    const auto workload = make_workload(options, 3);
    std::set<std::string> keys, values;
    for (int i = 0; i < 200; ++i) {
        const auto request = next<pb::PutRequest>(*workload);
        EXPECT_EQ(request.key().size(), 16u);
        EXPECT_TRUE(request.key().starts_with("bench/"));
        EXPECT_EQ(request.value().size(), 64u);
        keys.insert(request.key());
        values.insert(request.value());
    }
    EXPECT_EQ(values.size(), 200u);
    EXPECT_GT(keys.size(), 150u);
}

TEST(PutWorkload, WantsTheRevisionToGrow) {
    const Options options = options_for(WorkloadKind::kPut);
    const auto workload = make_workload(options, 0);
    EXPECT_EQ(workload->check(put_response(5)), "");
    EXPECT_EQ(workload->check(put_response(9)), "");
    EXPECT_NE(workload->check(put_response(9)), "");
    EXPECT_NE(workload->check("\x0a\x05x"), "");
}

TEST(Prefill, PutsEveryKeyOnce) {
    const Options options = options_for(WorkloadKind::kGet);
    std::atomic<std::uint64_t> next_key{0};
    const auto a = make_prefill(options, 0, next_key);
    const auto b = make_prefill(options, 1, next_key);
    std::set<std::string> keys;
    for (int i = 0; i < 500; ++i) {
        keys.insert(next<pb::PutRequest>(*a).key());
        keys.insert(next<pb::PutRequest>(*b).key());
    }
    EXPECT_EQ(keys.size(), 1'000u);
    EXPECT_EQ(*keys.begin(), "bench/0000000000");
    EXPECT_EQ(*keys.rbegin(), "bench/0000000999");
}

pb::RangeResponse range_response(int keys, std::size_t value_bytes) {
    pb::RangeResponse response;
    for (int i = 0; i < keys; ++i) {
        auto* entry = response.add_kvs();
        entry->set_key("k");
        entry->set_value(std::string(value_bytes, 'v'));
        entry->set_mod_revision(3);
    }
    response.set_count(keys);
    return response;
}

TEST(GetWorkload, AsksForOneKeyAndChecksIt) {
    Options options = options_for(WorkloadKind::kGet);
    options.serializable = true;
    const auto workload = make_workload(options, 0);
    const auto request = next<pb::RangeRequest>(*workload);
    EXPECT_EQ(request.range_end(), "");
    EXPECT_TRUE(request.serializable());
    EXPECT_EQ(workload->check(range_response(1, 64).SerializeAsString()), "");
    EXPECT_NE(workload->check(range_response(0, 64).SerializeAsString()), "");
    EXPECT_NE(workload->check(range_response(1, 63).SerializeAsString()), "");
}

TEST(RangeWorkload, AsksForNeighbouringKeysThatExist) {
    Options options = options_for(WorkloadKind::kRange);
    const auto workload = make_workload(options, 0);
    for (int i = 0; i < 1'000; ++i) {
        const auto request = next<pb::RangeRequest>(*workload);
        const long first = std::stol(request.key().substr(6));
        EXPECT_EQ(std::stol(request.range_end().substr(6)), first + 100);
        EXPECT_LE(first + 100, 1'000);
        EXPECT_FALSE(request.serializable());
    }
    EXPECT_EQ(workload->check(range_response(100, 64).SerializeAsString()), "");
    EXPECT_NE(workload->check(range_response(99, 64).SerializeAsString()), "");
}

TEST(TxnWorkload, ComparesWithTheRevisionItLastWrote) {
    const Options options = options_for(WorkloadKind::kTxn);
    const auto workload = make_workload(options, 4);
    const auto first = next<pb::TxnRequest>(*workload);
    ASSERT_EQ(first.compare_size(), 1);
    EXPECT_EQ(first.compare(0).target(), pb::Compare::MOD);
    EXPECT_EQ(first.compare(0).result(), pb::Compare::EQUAL);
    EXPECT_EQ(first.compare(0).target_union_case(), pb::Compare::kModRevision);
    EXPECT_EQ(first.compare(0).mod_revision(), 0);
    ASSERT_EQ(first.success_size(), 1);
    EXPECT_EQ(first.success(0).request_put().key(), first.compare(0).key());
    EXPECT_EQ(first.success(0).request_put().value().size(), 64u);

    pb::TxnResponse response;
    response.mutable_header()->set_revision(17);
    EXPECT_NE(workload->check(response.SerializeAsString()), "");
    response.set_succeeded(true);
    EXPECT_EQ(workload->check(response.SerializeAsString()), "");
    EXPECT_EQ(next<pb::TxnRequest>(*workload).compare(0).mod_revision(), 17);
}

}  // namespace
}  // namespace sluice::bench
