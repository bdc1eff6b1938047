// Non-blocking TCP sockets: thin functions that make them and move bytes.
//
// None suspends or blocks, all may be called anywhere. Those that make a socket return a Result;
// those on the data path return what the kernel does or -errno, -EAGAIN being the common one. Every
// socket made here is non-blocking, close-on-exec, and has TCP_NODELAY (we batch our own writes). A
// peer that has gone gives -EPIPE or -ECONNRESET, never a signal.
//
// For fibers that want to wait: io/tcp_stream.h. For accepting: io/listener.h.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "base/result.h"
#include "io/address.h"
#include "io/descriptor.h"

namespace sluice::io {

struct ListenOptions {
    int backlog = 4096;       // the kernel cuts it to net.core.somaxconn
    bool reuse_port = false;  // several sockets on one port, the kernel spreads the connections
};

// A listening socket with SO_REUSEADDR. An address on every interface takes IPv4 and IPv6.
Result<Descriptor> listen_tcp(const Address& address, const ListenOptions& options = {});

// The next waiting connection, or -errno (-EAGAIN: none waits). *peer is filled if not null.
int accept_tcp(int listener, Address* peer = nullptr) noexcept;

// Starts to connect. When the socket is writable, connect_status() says how it ended.
Result<Descriptor> connect_tcp(const Address& address);
Status connect_status(int fd);

Result<Address> local_address(int fd);

// Bytes moved, 0 at the end of the stream (receive only), or -errno.
ssize_t receive(int fd, std::span<std::byte> to) noexcept;
// Scatters; at most limits::kIoVectorParts parts are filled at once.
ssize_t receive(int fd, std::span<const iovec> parts) noexcept;
ssize_t transmit(int fd, std::span<const std::byte> from) noexcept;
// Gathers; at most limits::kIoVectorParts parts are sent at once.
ssize_t transmit(int fd, std::span<const iovec> parts) noexcept;

}  // namespace sluice::io
