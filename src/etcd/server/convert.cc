#include "etcd/server/convert.h"

namespace sluice::etcd {

storage::RangeQuery to_query(const RangeView& request) {
    return {.key = request.key,
            .range_end = request.range_end,
            .limit = request.limit,
            .revision = request.revision,
            .order = static_cast<storage::SortOrder>(request.sort_order),
            .target = static_cast<storage::SortTarget>(request.sort_target),
            .keys_only = request.keys_only,
            .count_only = request.count_only,
            .min_mod_revision = request.min_mod_revision,
            .max_mod_revision = request.max_mod_revision,
            .min_create_revision = request.min_create_revision,
            .max_create_revision = request.max_create_revision};
}

void to_proto(storage::KeyValue&& kv, mvccpb::KeyValue* out) {
    out->set_key(std::move(kv.key));
    out->set_value(std::move(kv.value));
    out->set_create_revision(kv.create_revision);
    out->set_mod_revision(kv.mod_revision);
    out->set_version(kv.version);
    out->set_lease(kv.lease);
}

void to_proto(storage::RangeResult&& result, etcdserverpb::RangeResponse* out) {
    out->mutable_header()->set_revision(result.revision);
    out->mutable_kvs()->Reserve(static_cast<int>(result.kvs.size()));
    for (storage::KeyValue& kv : result.kvs) to_proto(std::move(kv), out->add_kvs());
    out->set_more(result.more);
    out->set_count(result.count);
}

}  // namespace sluice::etcd
