// SplicePipe: bytes on their way from one socket to another in pages of the kernel. Internal to the
// layer; users have TcpStream::splice_to().
//
//   const ssize_t taken = pipe.fill(from, bytes_max);  // only when it is empty
//   while (pipe.bytes() > 0) pipe.drain(to, pipe.bytes());
//
// None suspends or blocks, if the sockets are non-blocking; bytes moved, or -errno. The kernel has
// no user memory to read or write, and knows no call after it has returned. One caller at a time.
//
// Source: splice(2), pipe(7).
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "io/descriptor.h"

namespace sluice::io {

class SplicePipe {
  public:
    static Result<std::unique_ptr<SplicePipe>> create();

    // What it holds. The destructor drops that.
    std::size_t bytes() const noexcept { return bytes_; }

    // Takes up to bytes_max, and limits::kSplicePipeBytes, from a socket; 0 at its end. The pipe
    // must be empty: so -EAGAIN says that the socket is, and not that the pipe is full.
    ssize_t fill(int socket, std::size_t bytes_max) noexcept;
    // Sends up to bytes_max, from 1 to what it holds.
    ssize_t drain(int socket, std::size_t bytes_max) noexcept;
    // Takes bytes out into memory, as many as fit; at most limits::kIoVectorParts parts.
    ssize_t read(std::span<const iovec> to) noexcept;

  private:
    SplicePipe(int reader, int writer) noexcept : reader_(reader), writer_(writer) {}
    void take(ssize_t moved) noexcept;

    Descriptor reader_;
    Descriptor writer_;
    std::size_t bytes_ = 0;
};

}  // namespace sluice::io
