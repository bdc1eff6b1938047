// Nanoseconds a message: by hand against protobuf on an arena, and the checks.
#include <benchmark/benchmark.h>
#include <google/protobuf/arena.h>

#include "etcd/checks.h"
#include "etcd/range_encoder.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;
using google::protobuf::Arena;

pb::PutRequest put_request() {
    pb::PutRequest request;
    request.set_key(std::string(40, 'k'));
    request.set_value(std::string(256, 'v'));
    request.set_lease(0x1234567890);
    return request;
}
pb::RangeRequest range_request() {
    pb::RangeRequest request;
    request.set_key(std::string(40, 'k'));
    request.set_serializable(true);
    return request;
}
template <class View>
void decode_by_hand(benchmark::State& state, const std::string& bytes) {
    for (auto _ : state) {
        View view;
        benchmark::DoNotOptimize(decode(bytes, view) && check(view).has_value());
        benchmark::DoNotOptimize(view);
    }
}
// As a server would: one arena a request, its first block given.
template <class Message, class Check>
void decode_with_protobuf(benchmark::State& state, const std::string& bytes, Check check_it) {
    for (auto _ : state) {
        alignas(8) char block[2048];
        google::protobuf::ArenaOptions options;
        options.initial_block = block;
        options.initial_block_size = sizeof block;
        Arena arena(options);
        auto* message = Arena::CreateMessage<Message>(&arena);
        benchmark::DoNotOptimize(
            message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
            check_it(*message).has_value());
        benchmark::DoNotOptimize(message);
    }
}

void BM_PutByHand(benchmark::State& state) {
    decode_by_hand<PutView>(state, put_request().SerializeAsString());
}
void BM_PutProtobuf(benchmark::State& state) {
    decode_with_protobuf<pb::PutRequest>(state, put_request().SerializeAsString(),
                                         [](const auto& m) { return check(to_view(m)); });
}
void BM_RangeByHand(benchmark::State& state) {
    decode_by_hand<RangeView>(state, range_request().SerializeAsString());
}
void BM_RangeProtobuf(benchmark::State& state) {
    decode_with_protobuf<pb::RangeRequest>(state, range_request().SerializeAsString(),
                                           [](const auto& m) { return check(to_view(m)); });
}
void BM_RangeResponseByHand(benchmark::State& state) {
    const std::string key(40, 'k');
    const std::string value(256, 'v');
    storage::KvView kv;
    kv.key = key;
    kv.value = value;
    kv.create_revision = 1000;
    kv.mod_revision = 2000;
    kv.version = 5;
    std::string out;
    for (auto _ : state) {
        out.clear();
        append_range_response({0xcdf818194e3a8c32, 0x8e9e05c52164694d, 123456, 7}, &kv, 1, out);
        benchmark::DoNotOptimize(out.data());
    }
}
void BM_RangeResponseProtobuf(benchmark::State& state) {
    const std::string key(40, 'k');
    const std::string value(256, 'v');
    std::string out;
    for (auto _ : state) {
        alignas(8) char block[2048];
        google::protobuf::ArenaOptions options;
        options.initial_block = block;
        options.initial_block_size = sizeof block;
        Arena arena(options);
        auto* response = Arena::CreateMessage<pb::RangeResponse>(&arena);
        auto* header = response->mutable_header();
        header->set_cluster_id(0xcdf818194e3a8c32);
        header->set_member_id(0x8e9e05c52164694d);
        header->set_revision(123456);
        header->set_raft_term(7);
        auto* kv = response->add_kvs();
        kv->set_key(key);
        kv->set_value(value);
        kv->set_create_revision(1000);
        kv->set_mod_revision(2000);
        kv->set_version(5);
        response->set_count(1);
        out.clear();
        response->AppendToString(&out);
        benchmark::DoNotOptimize(out.data());
    }
}

// Pairs that lie in the cache: the encoder's own cost, and one copy of 30 KB.
void BM_RangeOf100(benchmark::State& state) {
    const std::string key(40, 'k');
    const std::string value(256, 'v');
    const storage::KvView kv{key, value, 1000, 2000, 5, 0};
    MemoryBudget budget(1 << 30);
    for (auto _ : state) {
        RangeEncoder encoder(budget);
        for (int i = 0; i < 100; ++i) encoder.on_kv(kv);
        benchmark::DoNotOptimize(encoder.finish(false, 100).size());
    }
}

BENCHMARK(BM_PutByHand);
BENCHMARK(BM_PutProtobuf);
BENCHMARK(BM_RangeByHand);
BENCHMARK(BM_RangeProtobuf);
BENCHMARK(BM_RangeResponseByHand);
BENCHMARK(BM_RangeResponseProtobuf);
BENCHMARK(BM_RangeOf100);

}  // namespace
}  // namespace sluice::etcd
