// Readiness of descriptors: who wants to know that a socket can be read or written registers a
// Watch.
//
// A registration is data, not a fiber: an idle connection costs its Watch (32 bytes), 16 bytes in
// the poller's table, and the kernel's part. When the descriptor becomes ready, the poller calls
// the Watch's callback on the scheduler's stack of its worker. The callback must not suspend or
// block; it starts or wakes a fiber (rt::ready, rt::spawn_on), or does a little work itself.
//
// Notification is EDGE-TRIGGERED: after an event the owner reads (or writes) until -EAGAIN, or
// remembers by itself that there is more. Spurious events are allowed; lost ones are not. Right
// after add() the present readiness is reported, so nothing between socket() and add() is missed.
// Events may be merged and may report more than was asked (kHangup always).
//
// Lifetime. remove() makes sure that the callback is not running and will never run again; then the
// Watch may be destroyed and the descriptor closed, in this order: remove, then close. Events still
// in flight inside the kernel are recognised as stale by a generation number, also when descriptor
// and memory have been reused. The destructor asserts that the Watch is not registered.
//
//   struct Connection : io::Watch {
//       explicit Connection(int fd) : Watch(fd, &Connection::on_ready) {}
//       static void on_ready(Watch& watch, std::uint32_t events) {
//           auto& connection = static_cast<Connection&>(watch); ...
//       }
//   };
//   SLUICE_TRY(poller.add(connection, io::kReadable | io::kWritable));
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "io/buffer_pool.h"
#include "rt/poller.h"

namespace sluice::io {

inline constexpr std::uint32_t kReadable = 1;  // bytes, a connection to accept, or the end
inline constexpr std::uint32_t kWritable = 2;
inline constexpr std::uint32_t kHangup = 4;  // the peer has closed (fully or its side), or an error

class Operation;
class Poller;
class WatchTable;

class Watch {
  public:
    // Runs on the scheduler's stack of the poller's worker, never twice at the same time.
    using Callback = void (*)(Watch&, std::uint32_t events);

    Watch(int fd, Callback on_ready) noexcept : on_ready_(on_ready), fd_(fd) {}
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    int fd() const noexcept { return fd_; }
    bool registered() const noexcept { return poller_ != nullptr; }
    // Where it is registered; nullptr if nowhere.
    Poller* poller() const noexcept { return poller_; }

  private:
    friend class WatchTable;

    Poller* poller_ = nullptr;
    const Callback on_ready_;
    const int fd_;
    std::uint32_t slot_ = 0;
    std::uint32_t generation_ = 0;
    std::uint32_t interest_ = 0;
};

static_assert(sizeof(Watch) == 32);

// A worker's poller that takes registrations. There is one for each worker; poll() belongs to it.
class Poller : public rt::Poller {
  public:
    Poller() noexcept : rt::Poller(this) {}

    // Registers the Watch. Any thread or fiber; does not suspend. The Watch must not be registered
    // already. kResourceExhausted: limits::kWatchesPerPollerMax; or the kernel's refusal.
    // The callback may run before add() returns if the caller is not this poller's worker.
    virtual Status add(Watch& watch, std::uint32_t interest) = 0;

    // Unregisters the Watch. Any thread or fiber, also the callback itself. If the callback is
    // running on the worker, another thread spins until it has ended: so the caller must not hold a
    // lock which the callback takes. With io_uring the kernel lets go of the descriptor in the
    // worker's next turn; until then a closed socket sends no FIN (shutdown() first if that
    // matters).
    virtual void remove(Watch& watch) = 0;

    // Completion instead of readiness, for what is always "ready" and yet slow: files
    // (io/operation.h). A poller that says false is never asked; the blocking pool does the work.
    virtual bool completes_operations() const noexcept { return false; }
    // Takes the operation; its complete() is called once, on the scheduler's stack. On a fiber of
    // the poller's worker. Does not suspend and makes no system call.
    virtual void submit(Operation& operation);
    // Asks for an early end of a submitted operation that may have completed but has not gone. Any
    // thread. complete() follows as for any other, with -ECANCELED or what had been done by then.
    virtual void cancel(Operation& operation) noexcept;

    // The chunks of this worker (io/buffer_pool.h).
    BufferPool& buffers() noexcept { return buffers_; }

    // "epoll" or "io_uring".
    virtual const char* name() const noexcept = 0;

  private:
    BufferPool buffers_;
};

// The poller of the calling worker; from a fiber or a callback on the scheduler's stack. A fiber
// may be on another worker after any suspension, so the reference must not be kept across one.
// Asserts that the runtime was started with pollers from io/poller_factory.h.
Poller& current_poller();
// The same; nullptr where the runtime has a poller without I/O, as in simulation.
Poller* current_poller_or_null();

}  // namespace sluice::io
