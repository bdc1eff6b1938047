// Evaluating a transaction: first which branches are taken, then whether they may run, then running
// them.
//
// As in etcd, all compares of the whole tree are evaluated against the state before the
// transaction, and all checks of the taken branches come before the first write, so that a
// transaction is done whole or refused whole. Operations then run in order, each seeing the ones
// before it. Source: etcd v3.7 server/etcdserver/txn/txn.go (behaviour).
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "etcd/request_views.h"
#include "etcd/server/txn_view.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {

using LeaseExists = std::function<bool(storage::LeaseId)>;

// Whether each transaction of the tree takes its success branch, in the order in which running the
// tree meets them.
using TxnPath = std::vector<bool>;

Result<TxnPath> choose_branches(TxnView& view, const etcdserverpb::TxnRequest& request);

// For the taken operations, in their order, so that the first of several faults is the answer:
// leases, keys that ignore_value and ignore_lease need, revisions of reads.
Status check_taken(TxnView& view, const etcdserverpb::TxnRequest& request, const TxnPath& path,
                   const LeaseExists& lease_exists);

// Runs the taken branches of a transaction that writes, inside the batch's open transaction. `view`
// is of the batch.
Status run_txn(BatchView& view, storage::Applier& batch, const etcdserverpb::TxnRequest& request,
               const TxnPath& path, etcdserverpb::TxnResponse* response);

// Runs the taken branches of a transaction that only reads.
Status run_read_only(TxnView& view, const etcdserverpb::TxnRequest& request, const TxnPath& path,
                     etcdserverpb::TxnResponse* response);

// One put inside the batch's open transaction. *prev gets the pair it replaced if the request wants
// it (version 0: there was none). kKeyNotFound for ignore_value or ignore_lease without a key. The
// lease's existence has been checked. `tally` gets what was run, as etcd counts it.
Status run_put(storage::Applier& batch, const PutView& request, storage::KeyValue* prev,
               OperationTally& tally);

// How many keys were deleted; `prevs` gets the pairs if the request wants them.
Result<std::int64_t> run_delete_range(storage::Applier& batch, const DeleteRangeView& request,
                                      std::vector<storage::KeyValue>& prevs, OperationTally& tally);

}  // namespace sluice::etcd
