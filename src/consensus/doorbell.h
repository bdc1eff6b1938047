// Wakes one fiber, from any thread: "look again". Rings that come while it is awake are merged.
//
// Unlike sync::Notify the waiting fiber does not count for the deadlock verdict, as a thread that
// is no worker may ring (rt/runtime.h, ForeignThread). ring() costs one atomic exchange, and a
// wake-up if the fiber is parked; it neither suspends nor blocks. One fiber waits.
//
//   for (;;) { doorbell.wait(); drain(); }
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/park.h"

namespace sluice::consensus {

class Doorbell {
  public:
    void ring() noexcept {
        // Release: what was written before the ring is seen by the fiber that takes it.
        const std::uintptr_t before = state_.exchange(kRung, std::memory_order_acq_rel);
        if (before != kQuiet && before != kRung) rt::ready(reinterpret_cast<rt::Fiber*>(before));
    }

    // Suspends until there was a ring since the last wait() returned, and takes it.
    void wait() {
        // Acquire pairs with the release in ring().
        if (state_.exchange(kQuiet, std::memory_order_acq_rel) == kRung) return;
        std::atomic<std::uintptr_t>* state = &state_;
        rt::park(rt::WaitReason::kProposal, [state](rt::Fiber* fiber) {
            std::uintptr_t quiet = kQuiet;
            return state->compare_exchange_strong(quiet, reinterpret_cast<std::uintptr_t>(fiber),
                                                  std::memory_order_acq_rel);
        });
        state_.exchange(kQuiet, std::memory_order_acq_rel);
    }

  private:
    static constexpr std::uintptr_t kQuiet = 0;
    static constexpr std::uintptr_t kRung = 1;

    std::atomic<std::uintptr_t> state_{kQuiet};  // or the parked fiber's address
};

}  // namespace sluice::consensus
