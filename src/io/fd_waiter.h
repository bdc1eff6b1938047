// FdWaiter: lets a fiber wait until its descriptor can be read or written. For clients, tests and
// loops like the listener's; a server with many connections uses a bare Watch (io/readiness.h).
//
//   FdWaiter waiter(fd);
//   SLUICE_TRY(waiter.start());
//   while ((n = io::receive(fd, span)) == -EAGAIN) SLUICE_TRY(waiter.wait(kReadable, context));
//
// Readiness is remembered: an event between the -EAGAIN and the wait is not lost. One fiber at a
// time may wait for reading and one for writing. A wait may pass without need: always try again in
// a loop. A hang-up ends both waits, and all later ones for reading.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/spin_lock.h"
#include "io/readiness.h"
#include "sync/context.h"
#include "sync/waiter.h"

namespace sluice::io {

class FdWaiter final : private Watch {
  public:
    explicit FdWaiter(int fd) noexcept : Watch(fd, &FdWaiter::on_ready) {}
    // Unregisters. Before the descriptor is closed, and when nobody waits.
    ~FdWaiter();

    // Registers with the calling worker's poller. On a fiber, once.
    Status start();

    // Suspends until the direction (kReadable or kWritable) may be ready. kCancelled,
    // kDeadlineExceeded: from the context.
    Status wait(std::uint32_t direction,
                const sync::Context& context = sync::Context::background());

  private:
    // ready and waiter exclude each other.
    struct Direction {
        bool ready = false;
        sync::Waiter* waiter = nullptr;
    };

    static void on_ready(Watch& watch, std::uint32_t events);

    SpinLock lock_;
    bool hung_up_ SLUICE_GUARDED_BY(lock_) = false;
    Direction directions_[2] SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::io
