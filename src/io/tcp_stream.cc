#include "io/tcp_stream.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "io/part_cursor.h"
#include "io/socket.h"
#include "rt/blocking.h"

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

// Makes the call that takes bytes from the socket until it has.
//
// Less than asked for: what comes now is a new edge, and a hang-up that came before it makes every
// wait pass. So the call that would only say -EAGAIN can be left out.
template <class F>
Result<std::size_t> TcpStream::take_some(std::size_t bytes, const sync::Context& context, F call) {
    for (;;) {
        if (drained_) SLUICE_TRY(waiter_.wait(kReadable, context));
        const ssize_t n = call();
        drained_ = n == -EAGAIN || (n > 0 && static_cast<std::size_t>(n) < bytes);
        if (n >= 0) {
            rt::checkpoint();
            return static_cast<std::size_t>(n);
        }
        if (n != -EAGAIN) return fail(Error::from_errno(static_cast<int>(n), "receive"));
    }
}

Result<std::size_t> TcpStream::read_spliced(std::span<const iovec> to) {
    const ssize_t n = pipe_->read(to);
    if (n < 0) return fail(Error::from_errno(static_cast<int>(n), "read what was spliced"));
    rt::checkpoint();
    return static_cast<std::size_t>(n);
}

Result<std::size_t> TcpStream::read_some(std::span<std::byte> to, const sync::Context& context) {
    if (has_spliced()) {
        const iovec part{.iov_base = to.data(), .iov_len = to.size()};
        return read_spliced({&part, 1});
    }
    return take_some(to.size(), context, [&] { return receive(fd(), to); });
}

Result<std::size_t> TcpStream::read_some(std::span<const iovec> to, const sync::Context& context) {
    to = to.first(std::min(to.size(), limits::kIoVectorParts));
    if (has_spliced()) return read_spliced(to);
    std::size_t bytes = 0;
    for (const iovec& part : to) bytes += part.iov_len;
    return take_some(bytes, context, [&] { return receive(fd(), to); });
}

// Makes the call until it has moved something or failed.
template <class F>
Result<std::size_t> TcpStream::write_some(const sync::Context& context, F call, const char* name) {
    for (;;) {
        const ssize_t n = call();
        if (n >= 0) {
            rt::checkpoint();
            return static_cast<std::size_t>(n);
        }
        if (n != -EAGAIN) return fail(Error::from_errno(static_cast<int>(n), name));
        SLUICE_TRY(waiter_.wait(kWritable, context));
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
        SLUICE_TRY_ASSIGN(const std::size_t n,
                          write_some(context, [&] { return transmit(fd(), from); }, "send"));
        from = from.subspan(n);
    }
    return {};
}

Status TcpStream::write_all(std::span<const iovec> from, const sync::Context& context) {
    for (PartCursor rest(from); !rest.done();) {
        SLUICE_TRY_ASSIGN(
            const std::size_t n,
            write_some(context, [&] { return transmit(fd(), rest.window()); }, "send"));
        rest.advance(n);
    }
    return {};
}

Status TcpStream::send_file(int file, std::uint64_t offset, std::uint64_t bytes,
                            const sync::Context& context) {
    auto position = static_cast<off_t>(offset);
    while (bytes > 0) {
        const std::size_t step = std::min<std::uint64_t>(bytes, limits::kSendFileBytes);
        const auto call = [&] {
            return rt::blocking([&] { return sys::sendfile(fd(), file, &position, step); });
        };
        SLUICE_TRY_ASSIGN(const std::size_t n, write_some(context, call, "send a file"));
        if (n == 0) return fail(Code::kOutOfRange, "send a file: it ends before");
        bytes -= n;
    }
    return {};
}

// A short fill says nothing about the socket: packets take slots of the pipe, however small they
// are. So the socket counts as drained only when it says so, hence the 0.
Result<std::size_t> TcpStream::splice_to(TcpStream& to, std::size_t bytes_max,
                                         const sync::Context& context) {
    SLUICE_ASSERT(bytes_max > 0);
    if (pipe_ == nullptr) {
        SLUICE_TRY_ASSIGN(pipe_, SplicePipe::create());
    }
    if (pipe_->bytes() == 0) {
        SLUICE_TRY_ASSIGN(const std::size_t taken,
                          take_some(0, context, [&] { return pipe_->fill(fd(), bytes_max); }));
        if (taken == 0) {
            pipe_.reset();
            return 0;
        }
    }
    const std::size_t wanted = std::min(bytes_max, pipe_->bytes());
    std::size_t moved = 0;
    while (moved < wanted) {
        const auto n =
            to.write_some(context, [&] { return pipe_->drain(to.fd(), wanted - moved); }, "send");
        if (!n && moved == 0) return fail(n.error());
        if (!n) break;
        moved += *n;
    }
    SLUICE_ASSERT(moved > 0 && moved <= bytes_max);
    return moved;
}

void TcpStream::shutdown_write() noexcept {
    (void)sys::shutdown(fd(), SHUT_WR);
}

void TcpStream::shutdown() noexcept {
    (void)sys::shutdown(fd(), SHUT_RDWR);
}

}  // namespace sluice::io
