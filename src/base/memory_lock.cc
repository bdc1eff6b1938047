#include "base/memory_lock.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/syscall.h"

namespace sluice {
namespace {

// With its memory locked, a process with a limit and without the privilege can map no more than the
// limit, which would fail at some later time.
bool may_map_more_than(std::size_t limit_bytes) noexcept {
    constexpr std::size_t kMore = 1 << 20;
    if (limit_bytes > SIZE_MAX / 2) return true;
    void* const memory = mmap(nullptr, limit_bytes + kMore, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    munmap(memory, limit_bytes + kMore);
    return true;
}

}  // namespace

Status lock_memory() {
    int result = sys::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    rlimit limit{};
    const bool limited = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    if (result == 0) {
        if (!limited || may_map_more_than(limit.rlim_cur)) return {};
        munlockall();
        result = -ENOMEM;
    }
    // Refused by its limit: ENOMEM, or EPERM where that is 0.
    if (!limited || (result != -ENOMEM && result != -EPERM)) {
        return fail(Error::from_errno(result, "lock the memory"));
    }
    return fail(Code::kFailedPrecondition,
                "memory cannot be locked: RLIMIT_MEMLOCK is " + std::to_string(limit.rlim_cur) +
                    " bytes; it must be unlimited (ulimit -l unlimited, LimitMEMLOCK=infinity), or "
                    "the process must have CAP_IPC_LOCK");
}

}  // namespace sluice
