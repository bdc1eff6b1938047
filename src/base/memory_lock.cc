#include "base/memory_lock.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <string>

#include "base/syscall.h"

namespace sluice {

Status lock_memory() {
    const int result = sys::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    if (result == 0) return {};
    // Refused by its limit: ENOMEM, or EPERM where that is 0.
    rlimit limit{};
    const bool limited = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    if (!limited || (result != -ENOMEM && result != -EPERM)) {
        return fail(Error::from_errno(result, "lock the memory"));
    }
    return fail(Code::kFailedPrecondition,
                "memory cannot be locked: RLIMIT_MEMLOCK is " + std::to_string(limit.rlim_cur) +
                    " bytes; it must be unlimited (ulimit -l unlimited, LimitMEMLOCK=infinity), or "
                    "the process must have CAP_IPC_LOCK");
}

}  // namespace sluice
