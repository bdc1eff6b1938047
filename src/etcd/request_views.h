// Requests of the hot paths as views into the bytes that carry them: what wire_codec.h decodes, and
// what the checks and the server work on, whichever decoder read the request.
//
// Fields and defaults are those of proto/etcdserverpb/kv.proto. The views live as long as the bytes
// or the message they were made from.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {

struct PutView {
    std::string_view key = {};
    std::string_view value = {};
    std::int64_t lease = 0;
    bool prev_kv = false;
    bool ignore_value = false;
    bool ignore_lease = false;
};

struct RangeView {
    std::string_view key = {};
    std::string_view range_end = {};
    std::int64_t limit = 0;
    std::int64_t revision = 0;
    std::int32_t sort_order = 0;
    std::int32_t sort_target = 0;
    bool serializable = false;
    bool keys_only = false;
    bool count_only = false;
    std::int64_t min_mod_revision = 0;
    std::int64_t max_mod_revision = 0;
    std::int64_t min_create_revision = 0;
    std::int64_t max_create_revision = 0;
};

struct DeleteRangeView {
    std::string_view key = {};
    std::string_view range_end = {};
    bool prev_kv = false;
};

PutView to_view(const etcdserverpb::PutRequest& request);
RangeView to_view(const etcdserverpb::RangeRequest& request);
DeleteRangeView to_view(const etcdserverpb::DeleteRangeRequest& request);

}  // namespace sluice::etcd
