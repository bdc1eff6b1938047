// The next connection of a listening socket, for tests that have just connected: the client's side
// may be ready before the kernel has put the connection into the listener's queue.
#pragma once

#include <poll.h>

#include <cerrno>

#include "base/syscall.h"
#include "io/descriptor.h"
#include "io/socket.h"

namespace sluice::io {

// Blocks the calling thread until there is one. Not valid where accept_tcp() fails.
inline Descriptor accept_next(int listener) {
    for (;;) {
        const int fd = accept_tcp(listener);
        if (fd != -EAGAIN) return Descriptor(fd);
        pollfd waiting{.fd = listener, .events = POLLIN, .revents = 0};
        (void)sys::poll(&waiting, 1, -1);
    }
}

}  // namespace sluice::io
