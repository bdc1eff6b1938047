// Locked memory: what the process has touched is never written to swap.
#pragma once

#include "base/result.h"

namespace sluice {

// Locks all memory of the process, and what it will map from now on, each page as it is touched
// (MCL_ONFAULT). Address space counts as a whole against RLIMIT_MEMLOCK, and stacks and caches
// reserve much more of it than they touch, so without the privilege CAP_IPC_LOCK the limit must be
// "unlimited". kFailedPrecondition says that, and what the limit is. Locked pages are given back to
// the system only when they are unmapped. Blocks for some milliseconds.
Status lock_memory();

}  // namespace sluice
