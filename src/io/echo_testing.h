// An echo server in the style of the product's: a connection is a Watch, not a fiber; bytes pass
// through a chunk that is borrowed for the turn. For tests and benches.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/spin_lock.h"
#include "io/address.h"
#include "io/listener.h"
#include "io/readiness.h"
#include "sync/group.h"

namespace sluice::io {

class EchoServer {
  public:
    EchoServer();
    ~EchoServer();

    // Starts the accept loop; on a fiber.
    Status start();
    // Stops accepting, closes all connections, joins.
    Status stop();

    Address address() const { return address_; }
    std::uint64_t connections() const;
    std::uint64_t echoed_bytes() const { return echoed_bytes_.load(std::memory_order_relaxed); }
    Listener::Stats accept_stats() const { return listener_->stats(); }

  private:
    class Connection;

    void accepted(Descriptor socket);
    void drop(Connection& connection);

    Address address_;
    std::unique_ptr<Listener> listener_;
    sync::Group group_;
    std::atomic<std::uint64_t> echoed_bytes_{0};
    mutable SpinLock lock_;
    std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_
        SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::io
