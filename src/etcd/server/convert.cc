#include "etcd/server/convert.h"

namespace sluice::etcd {

PutView to_view(const etcdserverpb::PutRequest& request) {
    return {.key = request.key(),
            .value = request.value(),
            .lease = request.lease(),
            .prev_kv = request.prev_kv(),
            .ignore_value = request.ignore_value(),
            .ignore_lease = request.ignore_lease()};
}

storage::RangeQuery to_query(const etcdserverpb::RangeRequest& request) {
    storage::RangeQuery query;
    query.key = request.key();
    query.range_end = request.range_end();
    query.limit = request.limit();
    query.revision = request.revision();
    query.order = static_cast<storage::SortOrder>(request.sort_order());
    query.target = static_cast<storage::SortTarget>(request.sort_target());
    query.keys_only = request.keys_only();
    query.count_only = request.count_only();
    query.min_mod_revision = request.min_mod_revision();
    query.max_mod_revision = request.max_mod_revision();
    query.min_create_revision = request.min_create_revision();
    query.max_create_revision = request.max_create_revision();
    return query;
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
