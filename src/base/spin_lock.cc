#include "base/spin_lock.h"

#include <sched.h>

#include "base/limits.h"
#include "base/pause.h"

namespace sluice {

void SpinLock::lock_slowly() noexcept {
    unsigned rounds = 0;
    for (;;) {
        if (try_lock()) return;
        if (++rounds < limits::kSpinsBeforeYield) {
            pause_cpu();
        } else {
            rounds = 0;
            sched_yield();
        }
    }
}

}  // namespace sluice
