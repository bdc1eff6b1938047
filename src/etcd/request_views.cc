#include "etcd/request_views.h"

namespace sluice::etcd {

PutView to_view(const etcdserverpb::PutRequest& request) {
    return {.key = request.key(),
            .value = request.value(),
            .lease = request.lease(),
            .prev_kv = request.prev_kv(),
            .ignore_value = request.ignore_value(),
            .ignore_lease = request.ignore_lease()};
}

RangeView to_view(const etcdserverpb::RangeRequest& request) {
    return {.key = request.key(),
            .range_end = request.range_end(),
            .limit = request.limit(),
            .revision = request.revision(),
            .sort_order = request.sort_order(),
            .sort_target = request.sort_target(),
            .serializable = request.serializable(),
            .keys_only = request.keys_only(),
            .count_only = request.count_only(),
            .min_mod_revision = request.min_mod_revision(),
            .max_mod_revision = request.max_mod_revision(),
            .min_create_revision = request.min_create_revision(),
            .max_create_revision = request.max_create_revision()};
}

DeleteRangeView to_view(const etcdserverpb::DeleteRangeRequest& request) {
    return {.key = request.key(), .range_end = request.range_end(), .prev_kv = request.prev_kv()};
}

}  // namespace sluice::etcd
