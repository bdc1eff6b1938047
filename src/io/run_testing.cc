#include "io/run_testing.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "io/poller_factory.h"
#include "rt/runtime.h"

namespace sluice::io {

bool run_on(const char* poller, unsigned workers, std::function<void()> body) {
    auto factory = make_poller_factory(poller);
    if (!factory) return false;
    rt::Runtime runtime({.workers = workers, .make_poller = *factory});
    runtime.run(std::move(body));
    return true;
}

bool may_lack_io_uring() {
    const char* const allowed = std::getenv("SLUICE_ALLOW_NO_IO_URING");
    return allowed != nullptr && std::string_view(allowed) == "1";
}

}  // namespace sluice::io
