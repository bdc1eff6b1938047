// Between the wire's messages and the store's records.
#pragma once

#include "etcd/request_views.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/mvccpb/kv.pb.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

// The query's views are the request's.
storage::RangeQuery to_query(const RangeView& request);

void to_proto(storage::KeyValue&& kv, mvccpb::KeyValue* out);

// Fills everything but the header's ids: kvs, more, count and the revision.
void to_proto(storage::RangeResult&& result, etcdserverpb::RangeResponse* out);

}  // namespace sluice::etcd
