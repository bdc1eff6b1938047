// Whether the writes of one transaction branch contradict each other (etcd's "duplicate key").
//
// In one branch a key may be put once, and not at all where the same branch deletes, in whatever
// order; deletes may overlap. A nested transaction counts with both its branches, which exclude
// each other: both may put the same key, but what either deletes conflicts with puts outside.
// Within a nested transaction's own branches conflicts are searched the same way.
//
// Any thread; neither suspends nor blocks. Cost: nothing for a branch of one plain operation,
// comparisons only for up to kFewOperations plain puts, else O(n log n). The requests must have
// passed their own checks (depth and size are bounded by the operations' budget).
#pragma once

#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {

bool has_conflict(const google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& branch);

}  // namespace sluice::etcd
