// mvccpb.KeyValue and etcdserverpb.ResponseHeader by hand: sizes and writers over views.
// Conventions as in protobuf_wire.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "etcd/protobuf_wire.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

// A key-value pair whose bytes lie elsewhere.
struct KeyValueView {
    std::string_view key;
    std::string_view value;
    std::int64_t create_revision = 0;
    std::int64_t mod_revision = 0;
    std::int64_t version = 0;
    std::int64_t lease = 0;

    KeyValueView() = default;
    KeyValueView(const storage::KeyValue& kv)  // NOLINT: the same thing, seen
        : key(kv.key),
          value(kv.value),
          create_revision(kv.create_revision),
          mod_revision(kv.mod_revision),
          version(kv.version),
          lease(kv.lease) {}
};

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

inline std::size_t key_value_size(const KeyValueView& kv) {
    return bytes_size(kKeyValueKey, kv.key) + int_size(2, bits(kv.create_revision)) +
           int_size(3, bits(kv.mod_revision)) + int_size(4, bits(kv.version)) +
           bytes_size(5, kv.value) + int_size(6, bits(kv.lease));
}
inline char* write_key_value(char* out, const KeyValueView& kv) {
    out = write_bytes(out, kKeyValueKey, kv.key);
    out = write_int(out, 2, bits(kv.create_revision));
    out = write_int(out, 3, bits(kv.mod_revision));
    out = write_int(out, 4, bits(kv.version));
    out = write_bytes(out, 5, kv.value);
    return write_int(out, 6, bits(kv.lease));
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

}  // namespace wire
}  // namespace sluice::etcd
