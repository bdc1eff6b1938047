#include "io/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::io {
namespace {

int set_option(int fd, int level, int name, int value) noexcept {
    return sys::setsockopt(fd, level, name, &value, sizeof value);
}

Result<Descriptor> new_socket(const Address& address) {
    Descriptor socket(sys::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (!socket.valid()) return fail(Error::from_errno(socket.get(), "socket"));
    return socket;
}

using NameCall = int (*)(int, sockaddr*, socklen_t*) noexcept;

Result<Address> address_of(int fd, NameCall call, const char* context) {
    sockaddr_storage storage{};
    socklen_t bytes = sizeof storage;
    const int result = call(fd, reinterpret_cast<sockaddr*>(&storage), &bytes);
    if (result < 0) return fail(Error::from_errno(result, context));
    return Address::from_sockaddr(storage);
}

}  // namespace

Result<Descriptor> listen_tcp(const Address& address, const ListenOptions& options) {
    SLUICE_TRY_ASSIGN(Descriptor socket, new_socket(address));
    int result = set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && options.reuse_port) {
        result = set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (result == 0 && address.family() == AF_INET6) {
        result = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (result == 0) result = sys::bind(socket.get(), address.data(), address.size());
    if (result == 0) result = sys::listen(socket.get(), options.backlog);
    if (result < 0) return fail(Error::from_errno(result, "listen on " + address.to_string()));
    return socket;
}

int accept_tcp(int listener, Address* peer) noexcept {
    sockaddr_storage storage{};
    socklen_t bytes = sizeof storage;
    const int fd =
        sys::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &bytes, SOCK_NONBLOCK);
    if (fd < 0) return fd;
    // It can fail only on a connection that has died; the first use then says so.
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, limits::kSocketUnsentBytes);
    if (peer != nullptr) *peer = Address::from_sockaddr(storage);
    return fd;
}

Result<Descriptor> connect_tcp(const Address& address) {
    SLUICE_TRY_ASSIGN(Descriptor socket, new_socket(address));
    (void)set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    const int result = sys::connect(socket.get(), address.data(), address.size());
    // An interrupted connect goes on like one in progress.
    if (result < 0 && result != -EINPROGRESS && result != -EINTR) {
        return fail(Error::from_errno(result, "connect to " + address.to_string()));
    }
    return socket;
}

Status connect_status(int fd) {
    int error = 0;
    socklen_t bytes = sizeof error;
    const int result = sys::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (result < 0) return fail(Error::from_errno(result, "connect"));
    if (error != 0) return fail(Error::from_errno(-error, "connect"));
    return {};
}

Result<Address> local_address(int fd) {
    return address_of(fd, sys::getsockname, "local address");
}

ssize_t receive(int fd, std::span<std::byte> to) noexcept {
    return sys::recv(fd, to.data(), to.size(), 0);
}

ssize_t receive(int fd, std::span<const iovec> parts) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = std::min(parts.size(), limits::kIoVectorParts);
    return sys::recvmsg(fd, &message, 0);
}

ssize_t transmit(int fd, std::span<const std::byte> from) noexcept {
    return sys::send(fd, from.data(), from.size(), 0);
}

ssize_t transmit(int fd, std::span<const iovec> parts) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = std::min(parts.size(), limits::kIoVectorParts);
    return sys::sendmsg(fd, &message, 0);
}

}  // namespace sluice::io
