// Inbox: fibers that other threads hand over: to a certain worker (spawn_on), or to the global
// queue. Any thread pushes; the one consumer takes all at once.
#pragma once

#include "rt/arrival_stack.h"
#include "rt/park.h"

namespace sluice::rt {

class Inbox {
  public:
    bool empty() const noexcept { return fibers_.empty(); }

    // Any thread.
    void push(Fiber* fiber) noexcept { fibers_.push(fiber); }

    // The consumer: appends all to `out`, the oldest first.
    void take_all(FiberList& out) noexcept {
        for (Fiber* fiber = fibers_.take_all(); fiber != nullptr;) {
            Fiber* const next = std::exchange(fiber->next_, nullptr);
            out.push_back(fiber);
            fiber = next;
        }
    }

  private:
    ArrivalStack<Fiber, &Fiber::next_> fibers_;
};

}  // namespace sluice::rt
