// TcpStream: a connection for one fiber that wants to read and write as if the calls blocked. For
// clients, tools and tests; it holds a fiber while it waits, so the server does not use it.
//
//   auto stream = TcpStream::connect(address, context);
//   if (!stream) return fail(stream.error());
//   SLUICE_TRY((*stream)->write_all(request, context));
//   auto n = (*stream)->read_some(buffer, context);
//
// On fibers only; all calls suspend rather than block. One fiber may read while another one writes.
// Errors: the context's, or kUnavailable and others from the socket; a failed stream stays
// unusable.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "io/address.h"
#include "io/descriptor.h"
#include "io/fd_waiter.h"
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
    // Fills `to`; kUnavailable if the stream ends before.
    Status read_all(std::span<std::byte> to,
                    const sync::Context& context = sync::Context::background());
    Status write_all(std::span<const std::byte> from,
                     const sync::Context& context = sync::Context::background());
    // Sends the end of the stream; reading goes on.
    void shutdown_write() noexcept;

    int fd() const noexcept { return socket_.get(); }

  private:
    explicit TcpStream(Descriptor socket) noexcept
        : socket_(std::move(socket)), waiter_(socket_.get()) {}

    Descriptor socket_;
    FdWaiter waiter_;       // destroyed before the socket is closed
    bool drained_ = false;  // the last read took all there was: wait before the next
};

}  // namespace sluice::io
