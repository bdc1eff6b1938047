// Between the wire's messages and the store's records.
#pragma once

#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/mvccpb/kv.pb.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

// The views in these results point into `request`.
PutView to_view(const etcdserverpb::PutRequest& request);
storage::RangeQuery to_query(const etcdserverpb::RangeRequest& request);

void to_proto(storage::KeyValue&& kv, mvccpb::KeyValue* out);

// Fills everything but the header's ids: kvs, more, count and the revision.
void to_proto(storage::RangeResult&& result, etcdserverpb::RangeResponse* out);

}  // namespace sluice::etcd
