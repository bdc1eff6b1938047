// WakeState: merges wake-ups into as few system calls as are needed (io/wake_event.h), and a thread
// that loses its CPU in the middle of one hides nobody else's.
//
// The state counts the times that the poller has consumed a wake-up, and its last bit says that
// one is on its way. Whoever finds the bit off sends first and sets the bit then, if nothing was
// consumed meanwhile; who finds it on has nothing to do. So callers at once may all send.
//
// All operations are read-modify-writes, acquire-release: what was done before a notify() that was
// merged is visible after the consume().
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::io {

// Atomic: std::atomic; tests put in model::Atomic.
template <template <class> class Atomic = std::atomic>
class WakeState {
  public:
    // Any thread. Calls send() unless a wake-up is on its way.
    template <class F>
    void notify(F&& send) {
        std::uint64_t state = state_.fetch_add(0, std::memory_order_acq_rel);
        if ((state & kOnItsWay) != 0) return;
        send();
        (void)state_.compare_exchange_strong(state, state | kOnItsWay, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    // The poller, when a wake-up has arrived and before it looks for what it was woken for.
    void consume() {
        std::uint64_t state = state_.load(std::memory_order_relaxed);
        while (!state_.compare_exchange_weak(
            state, (state | kOnItsWay) + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        }
    }

  private:
    static constexpr std::uint64_t kOnItsWay = 1;

    Atomic<std::uint64_t> state_{std::uint64_t{0}};
};

}  // namespace sluice::io
