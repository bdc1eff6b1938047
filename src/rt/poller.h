// Poller: how a worker waits for the outside world. One per worker, made by Options::make_poller.
//
// The layer io implements it with io_uring and with epoll; rt has two that know no I/O: NullPoller
// (rt/null_poller.h) for tests of this layer, and SimPoller (rt/simulation.h) for virtual time.
//
// poll() and idle() are called by the poller's own worker, on the scheduler's stack. While that is
// stuck in a long slice, others look after its I/O: waiting() and poll_for_other() are called by
// other threads, collect_on_signal() on the stuck thread in a signal handler.
#pragma once

#include <cstdint>

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
    // Must stay cheap when called often, and wait for nobody: threads of low priority call it, too.
    virtual void wake() noexcept = 0;

    // True if no operation is armed: nothing can come out of poll() but a wake().
    // Any thread.
    virtual bool idle() const = 0;

    // What poll_for_other() would find. Any thread, while the worker serves. One that cannot be
    // polled by others says kNothing.
    enum class Waiting : std::uint8_t {
        kNothing,
        kForOwner,  // events that collect_on_signal() must fetch first
        kForAny,
    };
    virtual Waiting waiting() noexcept { return Waiting::kNothing; }

    // poll(0) by another worker, on its scheduler's stack: runs the callbacks there. Returns 0 at
    // once if somebody polls already.
    virtual unsigned poll_for_other() { return 0; }

    // In a signal handler on the owner's thread, while that runs a fiber: makes completions that
    // only this thread can fetch visible to others. Async-signal-safe.
    virtual void collect_on_signal() noexcept {}

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
