// WakeEvent: the descriptor by which other threads wake a poller. Internal to the pollers.
//
// It is watched edge-triggered and never read: each write is a new edge. While a wake-up is on its
// way (pending_) further ones are merged, so a flood of wake() calls costs one system call.
#pragma once

#include <atomic>

#include "io/descriptor.h"

namespace sluice::io {

class WakeEvent {
  public:
    WakeEvent();

    int fd() const noexcept { return event_.get(); }
    // Any thread.
    void signal() noexcept;
    // By the poller, when the event has arrived. Acquire pairs with the release in signal(): what
    // was done before any merged signal() is visible afterwards.
    void consume() noexcept { pending_.exchange(false, std::memory_order_acq_rel); }

  private:
    Descriptor event_;
    std::atomic<bool> pending_{false};
};

}  // namespace sluice::io
