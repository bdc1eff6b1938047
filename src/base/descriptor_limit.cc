#include "base/descriptor_limit.h"

#include <sys/resource.h>

namespace sluice {

std::uint64_t raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return soft;
    return limit.rlim_cur;
}

}  // namespace sluice
