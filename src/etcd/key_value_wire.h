// mvccpb.KeyValue and etcdserverpb.ResponseHeader by hand: sizes and writers over views.
// Conventions as in protobuf_wire.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "etcd/protobuf_wire.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

// etcdserverpb.ResponseHeader.
struct ResponseHead {
    std::uint64_t cluster_id = 0;
    std::uint64_t member_id = 0;
    storage::Revision revision = 0;
    std::uint64_t raft_term = 0;
};

namespace wire {

inline constexpr std::uint32_t kKeyValueKey = 1;  // proto/mvccpb/kv.proto

inline std::uint64_t bits(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}

// `Pair` is storage::KeyValue or storage::KvView.
template <class Pair>
std::size_t key_value_size(const Pair& kv) {
    return bytes_size(kKeyValueKey, kv.key) + int_size(2, bits(kv.create_revision)) +
           int_size(3, bits(kv.mod_revision)) + int_size(4, bits(kv.version)) +
           bytes_size(5, kv.value) + int_size(6, bits(kv.lease));
}
template <class Pair>
char* write_key_value(char* out, const Pair& kv) {
    out = write_bytes(out, kKeyValueKey, kv.key);
    out = write_int(out, 2, bits(kv.create_revision));
    out = write_int(out, 3, bits(kv.mod_revision));
    out = write_int(out, 4, bits(kv.version));
    out = write_bytes(out, 5, kv.value);
    return write_int(out, 6, bits(kv.lease));
}

// The same as a field of another message.
template <class Pair>
std::size_t pair_size(std::uint32_t field, const Pair& kv) {
    return nested_size(field, key_value_size(kv));
}
template <class Pair>
char* write_pair(char* out, std::uint32_t field, const Pair& kv) {
    return write_key_value(write_nested_head(out, field, key_value_size(kv)), kv);
}

inline std::size_t head_size(const ResponseHead& head) {  // proto/etcdserverpb/header.proto
    return int_size(1, head.cluster_id) + int_size(2, head.member_id) +
           int_size(3, bits(head.revision)) + int_size(4, head.raft_term);
}
inline char* write_head(char* out, const ResponseHead& head) {
    out = write_int(out, 1, head.cluster_id);
    out = write_int(out, 2, head.member_id);
    out = write_int(out, 3, bits(head.revision));
    return write_int(out, 4, head.raft_term);
}

// The head as field 1 of a response, which it is in all of them.
inline constexpr std::uint32_t kHeader = 1;
inline std::size_t header_size(const ResponseHead& head) {
    return nested_size(kHeader, head_size(head));
}
inline char* write_header(char* out, const ResponseHead& head) {
    return write_head(write_nested_head(out, kHeader, head_size(head)), head);
}

// Fields of etcdserverpb.RangeResponse.
inline constexpr std::uint32_t kRangeKvs = 2;
inline constexpr std::uint32_t kRangeMore = 3;
inline constexpr std::uint32_t kRangeCount = 4;

}  // namespace wire
}  // namespace sluice::etcd
