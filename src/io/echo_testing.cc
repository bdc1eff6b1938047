#include "io/echo_testing.h"

#include <cerrno>

#include "base/check.h"
#include "io/buffer_pool.h"
#include "io/socket.h"

namespace sluice::io {

// Everything happens in the callback, on the scheduler's stack of the connection's worker: it reads
// until -EAGAIN and writes back. A peer that does not read is cut off.
class EchoServer::Connection final : public Watch {
  public:
    Connection(EchoServer& server, Descriptor socket)
        : Watch(socket.get(), &Connection::on_ready), server_(server), socket_(std::move(socket)) {}

  private:
    static void on_ready(Watch& watch, std::uint32_t events) {
        auto& self = static_cast<Connection&>(watch);
        if ((events & (kReadable | kHangup)) == 0) return;
        if (!self.echo(events)) self.server_.drop(self);
    }

    // False when the connection is over.
    bool echo(std::uint32_t events) {
        const Buffer buffer = poller()->buffers().borrow(ChunkSize::kSmall);
        for (;;) {
            const ssize_t n = receive(fd(), buffer.span());
            if (n == -EAGAIN) return true;
            if (n <= 0) return false;
            const auto bytes = static_cast<std::size_t>(n);
            if (transmit(fd(), std::span<const std::byte>(buffer.data(), bytes)) != n) return false;
            server_.echoed_bytes_.fetch_add(bytes, std::memory_order_relaxed);
            // Less than asked for: drained, and what comes now is a new edge. Not so after a
            // hang-up, whose edge has been reported already.
            if (bytes < buffer.size() && (events & kHangup) == 0) return true;
        }
    }

    EchoServer& server_;
    Descriptor socket_;
};

EchoServer::EchoServer() : group_(nullptr) {}

EchoServer::~EchoServer() = default;

Status EchoServer::start() {
    SLUICE_TRY_ASSIGN(Descriptor socket, listen_tcp(Address::loopback(0)));
    SLUICE_TRY_ASSIGN(address_, local_address(socket.get()));
    listener_ = std::make_unique<Listener>(
        std::move(socket), [this](Descriptor fd, const Address&) { accepted(std::move(fd)); });
    group_.spawn([this] { return listener_->run(group_.context()); });
    return {};
}

Status EchoServer::stop() {
    group_.cancel();
    Status status = group_.wait();
    for (;;) {
        std::unique_ptr<Connection> connection;
        {
            SpinGuard guard(lock_);
            if (connections_.empty()) return status;
            connection = std::move(connections_.extract(connections_.begin()).mapped());
        }
        connection->poller()->remove(*connection);
    }
}

std::uint64_t EchoServer::connections() const {
    SpinGuard guard(lock_);
    return connections_.size();
}

void EchoServer::accepted(Descriptor socket) {
    auto owned = std::make_unique<Connection>(*this, std::move(socket));
    Connection* const connection = owned.get();
    {
        SpinGuard guard(lock_);
        connections_.emplace(connection, std::move(owned));
    }
    SLUICE_CHECK(current_poller().add(*connection, kReadable).has_value());
}

// In the connection's own callback, unless stop() has been faster.
void EchoServer::drop(Connection& connection) {
    std::unique_ptr<Connection> owned;
    {
        SpinGuard guard(lock_);
        auto node = connections_.extract(&connection);
        if (node.empty()) return;
        owned = std::move(node.mapped());
    }
    owned->poller()->remove(*owned);
}

}  // namespace sluice::io
