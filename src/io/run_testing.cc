#include "io/run_testing.h"

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

}  // namespace sluice::io
