// Runs a test's body as fibers on workers with the given poller ("epoll", "io_uring").
#pragma once

#include <functional>

namespace sluice::io {

// False, and nothing run, where this machine forbids the poller.
bool run_on(const char* poller, unsigned workers, std::function<void()> body);

}  // namespace sluice::io
