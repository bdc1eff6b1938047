// What etcd refuses about a request before it looks at the store: the rules and their order are
// etcd's (server/etcdserver/api/v3rpc/key.go), because clients see which of two errors comes first.
//
// Pure functions over the request, a view of it or the message: any thread, no suspension, no
// blocking. Requests that reach the log have passed; the applier repeats only what depends on the
// store (lease exists, ignored value's key exists, revision in range). Cost: tens of nanoseconds
// for a plain request and for the transactions Kubernetes sends; O(n log n) in the operations of a
// larger one.
//
//   SLUICE_TRY(check(put_view));
//   SLUICE_TRY(check_txn(request, options.max_txn_ops));
#pragma once

#include "base/result.h"
#include "etcd/request_views.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {

// key empty: kEmptyKey; an unknown sort order or target: kInvalidSortOption.
Status check(const RangeView& request);

// key empty: kEmptyKey; ignore_value with a value: kValueProvided; ignore_lease with a lease:
// kLeaseProvided.
Status check(const PutView& request);

// key empty: kEmptyKey.
Status check(const DeleteRangeView& request);

// The budget first: the largest of the three lists may hold `max_ops` entries, and a nested
// transaction what its parents left over (kTooManyOps). Then every compare and operation by its own
// rule, an operation without content being kKeyNotFound. Last the branches: a key may be put once,
// and not where the same branch deletes (kDuplicateKey); the two branches of one nested transaction
// exclude each other and may put the same key. As in etcd, a delete up to "\0" (from the key to the
// end) conflicts with nothing.
Status check_txn(const etcdserverpb::TxnRequest& request, int max_ops);

// RangeStream: as a range, and kRangeStreamSort / kRangeStreamFilter for what it cannot do.
Status check_range_stream(const etcdserverpb::RangeRequest& request);

// True if no operation writes, however deep; such a transaction is not logged. etcd counts every
// nested transaction as a write, and so do we.
bool is_read_only(const etcdserverpb::TxnRequest& request);

// True if some operation puts, however deep: then the transaction needs room in the store.
bool puts_something(const etcdserverpb::TxnRequest& request);

// True if every operation is a serialisable range: such a transaction needs no read index.
bool is_serializable(const etcdserverpb::TxnRequest& request);

}  // namespace sluice::etcd
