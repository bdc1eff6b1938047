// Poller: how a worker waits for the outside world. One per worker, made by Options::make_poller.
//
// The layer io implements it with io_uring and with epoll; rt has two that know no I/O: NullPoller
// (rt/null_poller.h) for tests of this layer, and SimPoller (rt/simulation.h) for virtual time.
//
// All calls but wake() are made by the poller's own worker, on the scheduler's stack.
#pragma once

#include "base/clock.h"

namespace sluice::rt {

class Poller {
  public:
    virtual ~Poller() = default;

    // Runs completions: callbacks and rt::ready() for what has become ready, before it returns.
    // timeout_ns 0: only looks. kNever: blocks until an event or a wake(). Returns the number of
    // events. May return early and with 0.
    virtual unsigned poll(TimeNs timeout_ns) = 0;

    // Any thread. Makes the poll() that runs now return, or else the next one that would block.
    // Must stay cheap when called often: the scheduler calls it at most once for each time a worker
    // goes idle.
    virtual void wake() noexcept = 0;

    // True if no operation is armed: nothing can come out of poll() but a wake().
    virtual bool idle() const = 0;

    // What the layer that made it knows it as (io: its io::Poller); nullptr if nothing.
    void* upper() const noexcept { return upper_; }

  protected:
    explicit Poller(void* upper = nullptr) noexcept : upper_(upper) {}

  private:
    void* const upper_;
};

// A poller tells the trace how many operations it hands to the kernel. On its worker; elsewhere
// (tests of a poller alone) it does nothing.
void record_io_submit(unsigned operations) noexcept;

// Of the calling worker. A fiber may migrate after any suspension: do not keep it across one.
Poller& current_poller();

}  // namespace sluice::rt
