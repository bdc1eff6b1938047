#include "base/time_slice.h"

#include <linux/sched.h>
#include <sched.h>

#include "base/limits.h"
#include "base/syscall.h"

namespace sluice {

void wish_short_slices() noexcept {
    sys::SchedAttributes attributes;
    if (sys::sched_getattr(attributes) < 0 || attributes.policy != SCHED_OTHER) return;
    attributes.runtime_ns = limits::kWakeUpSliceNs;
    attributes.flags = SCHED_FLAG_RESET_ON_FORK;
    // It is a wish: where it is refused (a sandbox), things go on as they were.
    (void)sys::sched_setattr(attributes);
}

}  // namespace sluice
