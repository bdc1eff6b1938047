// A listening server: accepts connections, spreads them over the workers, ends them.
//
//   net::Server server(config, protocols);
//   SLUICE_TRY(server.listen(address));
//   ...
//   server.stop(deadline_ns);      // graceful, then hard; returns when every socket is closed
//   ...                            // end what calls may still wait for
//   server.join();                 // returns when their last reference to a connection is gone
//
// listen(), stop() and join() are called on a fiber of the runtime that serves; the last two
// suspend.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/spin_lock.h"
#include "base/tick_clock.h"
#include "io/address.h"
#include "io/listener.h"
#include "net/server/protocol.h"
#include "rt/park.h"
#include "rt/timer.h"
#include "sync/group.h"

namespace sluice::net {

class Connection;

struct ServerConfig {
    TimeNs keepalive_interval_ns = 7200 * kSecond;  // 0: never ping
    TimeNs keepalive_timeout_ns = 20 * kSecond;
    // For a peer that does not say what it speaks, and for the next HTTP/1.1 request.
    TimeNs handshake_timeout_ns = limits::kHandshakeTimeoutNs;
    std::uint32_t connections_max = limits::kConnectionsMax;
};

struct ServerCounters {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;  // over connections_max
    std::uint64_t open = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t turns = 0;
};

class Server {
  public:
    // `protocols`, `clock` and `ticks` outlive the server.
    Server(ServerConfig config, ProtocolFactory& protocols, const Clock& clock,
           const TickClock& ticks);
    ~Server();  // asserts that it is stopped and joined
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Starts to accept. May be called for several addresses. Returns the address with its real
    // port.
    Result<io::Address> listen(const io::Address& address);
    // Stops accepting, drains every connection, aborts those that are left at the deadline.
    void stop(TimeNs deadline_ns);
    // Waits until every call has ended and every Connection is destroyed. After stop().
    void join();

    ServerCounters counters() const;

  private:
    friend class Connection;

    void accept(io::Descriptor socket);
    void add(Connection& connection);
    void remove(Connection& connection);
    template <class F>
    void for_each(F&& f);
    // Of Connection::release(), after the destructor.
    void destroyed_one();

    enum class Until : std::uint8_t { kClosed, kDestroyed };
    // False: the deadline came first.
    bool wait(Until until, TimeNs deadline_ns);
    bool reached(Until until) const SLUICE_REQUIRES(lock_);
    rt::Fiber* take_stopper() SLUICE_REQUIRES(lock_);

    // Connections that have run lately; the sweep asks each whether it is idle and may be trimmed.
    void keep_warm(Connection& connection);
    static void on_sweep(rt::Timer& timer);
    // Asks the next batch. Returns when to ask again; kNever if there was none.
    TimeNs sweep();

    struct SweepTimer : rt::Timer {
        Server* server = nullptr;
    };

    std::unique_ptr<TurnScratch> borrow_scratch();
    void return_scratch(std::unique_ptr<TurnScratch> scratch);

    const ServerConfig config_;
    ProtocolFactory& protocols_;
    const Clock& clock_;
    const TickClock& ticks_;
    std::vector<std::unique_ptr<io::Listener>> listeners_;
    sync::Group accepting_{nullptr};  // one fiber a listener
    std::atomic<unsigned> next_worker_{0};

    mutable SpinLock lock_;
    Connection* first_ SLUICE_GUARDED_BY(lock_) = nullptr;
    std::uint64_t open_ SLUICE_GUARDED_BY(lock_) = 0;
    std::uint64_t starting_ SLUICE_GUARDED_BY(lock_) = 0;  // accepted, not yet in the list
    std::uint64_t alive_ SLUICE_GUARDED_BY(lock_) = 0;     // not destroyed: open, or held by calls
    bool stopping_ SLUICE_GUARDED_BY(lock_) = false;
    bool sweeping_ SLUICE_GUARDED_BY(lock_) = false;  // the sweep timer is armed, or runs
    std::vector<Connection*> warm_ SLUICE_GUARDED_BY(lock_);
    std::vector<Connection*> cooling_ SLUICE_GUARDED_BY(lock_);  // of warm_, not asked yet
    std::vector<std::unique_ptr<TurnScratch>> scratch_ SLUICE_GUARDED_BY(lock_);
    rt::Fiber* stopper_ SLUICE_GUARDED_BY(lock_) = nullptr;
    Until stopper_until_ SLUICE_GUARDED_BY(lock_) = Until::kClosed;

    // Statistics: relaxed, they order nothing.
    std::atomic<std::uint64_t> accepted_{0}, refused_{0}, received_{0}, sent_{0}, turns_{0};

    SweepTimer sweep_timer_;
};

}  // namespace sluice::net
