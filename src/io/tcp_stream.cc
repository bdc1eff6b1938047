#include "io/tcp_stream.h"

#include <cerrno>

#include "io/socket.h"

namespace sluice::io {

Result<std::unique_ptr<TcpStream>> TcpStream::adopt(Descriptor socket) {
    std::unique_ptr<TcpStream> stream(new TcpStream(std::move(socket)));
    SLUICE_TRY(stream->waiter_.start());
    return stream;
}

// Registered only now, when the connect is under way: an unconnected socket reports a hang-up.
Result<std::unique_ptr<TcpStream>> TcpStream::connect(const Address& address,
                                                      const sync::Context& context) {
    SLUICE_TRY_ASSIGN(Descriptor socket, connect_tcp(address));
    SLUICE_TRY_ASSIGN(auto stream, adopt(std::move(socket)));
    SLUICE_TRY(stream->waiter_.wait(kWritable, context));
    SLUICE_TRY(connect_status(stream->fd()));
    return stream;
}

Result<std::size_t> TcpStream::read_some(std::span<std::byte> to, const sync::Context& context) {
    for (;;) {
        if (drained_) SLUICE_TRY(waiter_.wait(kReadable, context));
        const ssize_t n = receive(fd(), to);
        // Less than asked for: what comes now is a new edge, and a hang-up that came before it
        // makes every wait pass. So the read that would only say -EAGAIN can be left out.
        drained_ = n == -EAGAIN || (n > 0 && static_cast<std::size_t>(n) < to.size());
        if (n >= 0) return static_cast<std::size_t>(n);
        if (n != -EAGAIN) return fail(Error::from_errno(static_cast<int>(n), "receive"));
    }
}

Status TcpStream::read_all(std::span<std::byte> to, const sync::Context& context) {
    while (!to.empty()) {
        SLUICE_TRY_ASSIGN(const std::size_t n, read_some(to, context));
        if (n == 0) return fail(Code::kUnavailable, "the peer closed the connection");
        to = to.subspan(n);
    }
    return {};
}

Status TcpStream::write_all(std::span<const std::byte> from, const sync::Context& context) {
    while (!from.empty()) {
        const ssize_t n = transmit(fd(), from);
        if (n >= 0) {
            from = from.subspan(static_cast<std::size_t>(n));
        } else if (n == -EAGAIN) {
            SLUICE_TRY(waiter_.wait(kWritable, context));
        } else {
            return fail(Error::from_errno(static_cast<int>(n), "send"));
        }
    }
    return {};
}

void TcpStream::shutdown_write() noexcept {
    (void)sys::shutdown(fd(), SHUT_WR);
}

}  // namespace sluice::io
