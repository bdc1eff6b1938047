// A Waiter is one wait of one fiber that several parties may want to end: a sender, a close, an
// unlock, a context's deadline. Whoever claims it first ends it; the others go away. Everything in
// this layer that waits is built on it.
//
// For users of the layer it is an internal; for authors of waiting primitives (io has some) this is
// the protocol, which needs no lock across the suspension:
//
//   the fiber                                     the party that ends the wait
//   ---------                                     ----------------------------
//   Waiter waiter;                                lock;
//   lock; if (can go on) return; enqueue; unlock  dequeue; won = waiter->claim(outcome);
//   outcome = waiter.wait(context, reason);       (hand over data: the fiber cannot go on yet)
//   if (outcome == kCancelled) {                  unlock;
//       lock; dequeue if still queued; unlock     if (won) waiter->notify();   // last access
//   }
//
// Two words make it right. outcome_ decides who wins: 0 -> outcome, once. state_ decides whether
// the fiber must be resumed:
//
//      kPreparing --park--> kParked --notify--> kNotified   (notify makes the fiber ready)
//          '-----------------notify-----------------^       (the fiber does not park at all)
//
// claim() and notify() may be called on any thread, fiber or scheduler stack, and do not suspend.
// Between a won claim() and notify() the Waiter cannot go away; after notify() it must not be
// touched.
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/park.h"

namespace sluice::sync {

class Context;

class Waiter {
  public:
    // The context ended the wait. Other outcomes are the primitive's own, from 1 up.
    static constexpr std::uint32_t kCancelled = UINT32_MAX;

    // On a fiber, which will call wait().
    Waiter() noexcept;
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    // True for exactly one caller, who must then call notify(). outcome is not 0.
    bool claim(std::uint32_t outcome) noexcept;
    void notify() noexcept;

    // Suspends the fiber until a claimer notifies or the context ends. Once for each Waiter.
    // `object` is what is waited for, for traces and dumps.
    std::uint32_t wait(const Context& context, rt::WaitReason reason, const void* object = nullptr);

  private:
    enum State : std::uint32_t { kPreparing, kParked, kNotified };

    void park(rt::WaitReason reason, const void* object);

    rt::Fiber* const fiber_;
    std::atomic<std::uint32_t> outcome_{0};
    std::atomic<std::uint32_t> state_{kPreparing};
};

}  // namespace sluice::sync
