// TcpStream: a connection for one fiber that wants to read and write as if the calls blocked. For
// clients, tools and tests; it holds a fiber while it waits, so the server does not use it.
//
//   auto stream = TcpStream::connect(address, context);
//   if (!stream) return fail(stream.error());
//   SLUICE_TRY((*stream)->write_all(request, context));
//   auto n = (*stream)->read_some(buffer, context);
//
// On fibers only; all calls suspend rather than block. One fiber may read while another one writes.
// The bytes are moved by the fiber's own calls when the socket is ready, so no buffer belongs to
// the kernel while a fiber waits, and a wait ends as soon as its context does.
//
// Errors: kUnavailable when the peer refuses, resets or has gone, and others from the socket; then
// the stream stays unusable. From the context: kCancelled, kDeadlineExceeded; such a read has taken
// nothing (read_all: an unknown part), such a write has sent an unknown part. A call that need not
// wait does not look at its context.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "io/address.h"
#include "io/descriptor.h"
#include "io/fd_waiter.h"
#include "io/splice_pipe.h"
#include "sync/context.h"

namespace sluice::io {

class TcpStream {
  public:
    static Result<std::unique_ptr<TcpStream>> connect(
        const Address& address, const sync::Context& context = sync::Context::background());
    // Takes over a connected non-blocking socket, such as an accepted one.
    static Result<std::unique_ptr<TcpStream>> adopt(Descriptor socket);

    TcpStream(const TcpStream&) = delete;
    TcpStream& operator=(const TcpStream&) = delete;

    // At least one byte; 0 at the end of the stream.
    Result<std::size_t> read_some(std::span<std::byte> to,
                                  const sync::Context& context = sync::Context::background());
    // The same into several parts, in order; not all empty.
    Result<std::size_t> read_some(std::span<const iovec> to,
                                  const sync::Context& context = sync::Context::background());
    // Fills `to`; kUnavailable if the stream ends before.
    Status read_all(std::span<std::byte> to,
                    const sync::Context& context = sync::Context::background());
    Status write_all(std::span<const std::byte> from,
                     const sync::Context& context = sync::Context::background());
    // The same from several parts, in order; with few system calls, by sendmsg().
    Status write_all(std::span<const iovec> from,
                     const sync::Context& context = sync::Context::background());
    // Sends that part of a file, by sendfile(): the bytes do not pass through user memory. The file
    // may have to be read from the disk, so a thread of the blocking pool makes the calls, of
    // limits::kSendFileBytes each. kOutOfRange if the file ends before.
    Status send_file(int file, std::uint64_t offset, std::uint64_t bytes,
                     const sync::Context& context = sync::Context::background());
    // Moves bytes of this stream to another one, or back to itself, through a pipe: they do not
    // pass through user memory. Waits for bytes, sends them, and returns how many `to` has taken:
    // from 1 to bytes_max; 0 at the end of this stream. Counts as a read of this stream and a write
    // to `to`.
    // It pays where much comes at a time: 0.6 of the CPU time of read_some() and write_all() for
    // 256 KiB, more than theirs below 16 KiB (docs/io.md).
    //
    // No byte is lost. What has been taken from here and not been sent when the context ends, or
    // `to` fails, stays with this stream: it comes first in the next splice_to() or read. So after
    // an error this call has moved nothing; one that comes after a part was moved is left to the
    // next call. The pipe is made by the first call, holds limits::kSplicePipeBytes, and is two
    // descriptors until the end of the stream. kResourceExhausted: there are no more descriptors.
    Result<std::size_t> splice_to(TcpStream& to, std::size_t bytes_max,
                                  const sync::Context& context = sync::Context::background());
    // Sends the end of the stream; reading goes on.
    void shutdown_write() noexcept;
    // Both directions: waiting reads return 0, writes fail. Any fiber.
    void shutdown() noexcept;

    int fd() const noexcept { return socket_.get(); }

  private:
    template <class F>
    Result<std::size_t> take_some(std::size_t bytes, const sync::Context& context, F call);
    Result<std::size_t> read_spliced(std::span<const iovec> to);
    bool has_spliced() const noexcept { return pipe_ != nullptr && pipe_->bytes() > 0; }
    template <class F>
    Result<std::size_t> write_some(const sync::Context& context, F call, const char* name);

    explicit TcpStream(Descriptor socket) noexcept
        : socket_(std::move(socket)), waiter_(socket_.get()) {}

    Descriptor socket_;
    FdWaiter waiter_;                   // destroyed before the socket is closed
    std::unique_ptr<SplicePipe> pipe_;  // null before the first splice_to()
    bool drained_ = false;              // the last read took all there was: wait before the next
};

}  // namespace sluice::io
