// WakeEvent: the descriptor by which other threads wake a poller. Internal to the pollers.
//
// It is watched edge-triggered and never read: each write is a new edge. While a wake-up is on its
// way further ones are merged (io/wake_state.h), so a flood of them costs one system call.
#pragma once

#include "io/descriptor.h"
#include "io/wake_state.h"

namespace sluice::io {

class WakeEvent {
  public:
    WakeEvent();

    int fd() const noexcept { return event_.get(); }
    // Any thread.
    void signal() noexcept;
    // By the poller, when the event has arrived: what was done before any merged signal() is
    // visible afterwards.
    void consume() noexcept { state_.consume(); }

  private:
    Descriptor event_;
    WakeState<> state_;
};

}  // namespace sluice::io
