// Runs a test's body as fibers on workers with the given poller ("epoll", "io_uring").
#pragma once

#include <functional>

namespace sluice::io {

// False, and nothing run, where this machine forbids the poller.
bool run_on(const char* poller, unsigned workers, std::function<void()> body);

// Whether tests may skip what needs an io_uring that the kernel or a container forbids: only with
// SLUICE_ALLOW_NO_IO_URING=1 in the environment. Otherwise they fail, so that nobody believes in
// tests that were not run.
bool may_lack_io_uring();

}  // namespace sluice::io
