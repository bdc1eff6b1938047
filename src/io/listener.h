// Accepts connections on one listening socket and hands each to a callback.
//
// run() is a loop for one fiber of a sync::Group; it returns when its context ends. The callback
// runs on that fiber, one call at a time; it may suspend, which delays further accepts (so a
// semaphore in it bounds the number of connections). When the process (or the system) is out of
// descriptors, the loop closes the waiting connections by means of a spare descriptor kept for
// that, so that their clients are told; if even the spare is gone, it pauses with a growing delay
// (limits::kAcceptPauseMinNs to Max). It never gives up and never spins.
//
//   io::Listener listener(std::move(socket), [&](Descriptor fd, const Address& peer) { ... });
//   group.spawn([&] { return listener.run(group.context()); });
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "io/address.h"
#include "io/descriptor.h"
#include "sync/context.h"

namespace sluice::io {

class Listener {
  public:
    // Owns the connection from then on.
    using OnAccept = std::function<void(Descriptor connection, const Address& peer)>;

    struct Stats {
        std::uint64_t accepted = 0;
        std::uint64_t turned_away = 0;  // closed because no descriptor was free
        std::uint64_t errors = 0;       // connections that died in the queue, and other errors
    };

    Listener(Descriptor socket, OnAccept on_accept);
    // Stops listening at once: a ring of the kernel may hold the socket for one more turn.
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Suspends. Returns an error only if the socket cannot be watched; OK when the context ends.
    Status run(const sync::Context& context);

    // The address it listens on, with the port which the kernel chose for port 0.
    Result<Address> address() const;
    // Any thread.
    Stats stats() const noexcept;

  private:
    bool accept_waiting(const sync::Context& context);
    bool turn_away(const sync::Context& context);

    const Descriptor socket_;
    const OnAccept on_accept_;
    Descriptor spare_;
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::uint64_t> turned_away_{0};
    std::atomic<std::uint64_t> errors_{0};
};

}  // namespace sluice::io
