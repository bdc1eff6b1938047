// The version before an event, as watchers see it: the pair as it was before the event's
// transaction. A change of a key that the same transaction has changed before (a put, then a delete
// up to the end) shows what was there before both, or nothing. Source: etcd reads it at the
// revision before the event's.
//
// Pure; any thread. One pass over the events, and a table of keys only if such a pair is met.
#pragma once

#include "storage/mvcc/types.h"

namespace sluice::storage {

// `batch` is whole: all events of the wanted keys, in order of sub, each prev being what the change
// itself replaced.
void take_prevs_before_txn(EventBatch& batch);

}  // namespace sluice::storage
