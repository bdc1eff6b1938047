#include "base/spin_lock.h"

#include <sched.h>

#include "base/limits.h"

namespace sluice {
namespace {

void pause_cpu() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

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
