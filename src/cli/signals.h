// SIGTERM and SIGINT as something that a fiber can wait for.
//
// Construct it on the main thread before any other thread starts: it blocks the two signals there,
// and SIGQUIT (cli/dump_signal.h), and threads inherit that. SIGPIPE is ignored: a write to a
// closed socket answers -EPIPE.
#pragma once

#include "io/descriptor.h"

namespace sluice::cli {

class SignalWaiter {
  public:
    SignalWaiter();
    // Suspends the calling fiber until a signal comes; returns its number.
    int wait();

  private:
    io::Descriptor descriptor_;
};

}  // namespace sluice::cli
