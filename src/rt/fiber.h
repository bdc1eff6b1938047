// A Fiber: a function with its own stack that a Worker runs until it waits, yields or ends.
//
// Layers above see it as an opaque handle: they park it (rt/park.h) and make it ready again. Fibers
// are started by spawn() (rt/runtime.h); users start them through sync::Group, which joins them.
//
// States. Only the scheduler changes them:
//
//     kFree --spawn--> kRunnable --picked--> kRunning --ended--> kFree
//                          ^                  |   |
//                          |-----yield--------|   |park
//                          |                      v
//                          '------ready------- kWaiting
//
// A Fiber object lies at the upper end of its own stack slot (rt/stack_arena.h), so that a parked
// fiber with a shallow stack costs one page. A slot is reused after its fiber has ended: a Fiber*
// may be kept only as long as the fiber is known to live.
//
// After any suspension a fiber may go on on another thread. So: no thread_local, no errno, and no
// OS mutex held across a suspension.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/switch.h"
#include "base/clock.h"
#include "base/tick_clock.h"
#include "rt/current_worker.h"
#include "rt/stack_class.h"
#include "rt/wait_reason.h"

namespace sluice::rt {

class Runtime;
class Worker;

enum class FiberState : std::uint8_t { kFree, kRunnable, kRunning, kWaiting };

// Where a fiber's time went since it started. A request's time account takes differences of these.
struct FiberAccount {
    TimeNs run_queue_ns = 0;     // runnable, waiting for a worker
    TimeNs running_ns = 0;       // on a worker, up to its last switch
    std::uint64_t switches = 0;  // how often it was switched in
};

class Fiber {
  public:
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    std::uint64_t id() const noexcept { return id_.load(std::memory_order_relaxed); }
    const char* name() const noexcept {
        const char* const name = name_.load(std::memory_order_relaxed);
        return name != nullptr ? name : "";
    }
    StackClass stack_class() const noexcept { return stack_class_; }
    FiberState state() const noexcept { return state_.load(std::memory_order_acquire); }
    // Meaningful while the state is kWaiting.
    WaitReason wait_reason() const noexcept { return wait_reason_.load(std::memory_order_relaxed); }
    // What it waits for, if park() was told.
    const void* wait_object() const noexcept {
        return wait_object_.load(std::memory_order_relaxed);
    }
    Runtime& runtime() const noexcept { return *runtime_; }

    // Called on the fiber itself. Cost: about 5 ns.
    FiberAccount account() const noexcept;
    // How long it has waited, by WaitReason. Called on the fiber itself. Cost: about 20 ns.
    std::array<TimeNs, kWaitReasons> waits() const noexcept;

  private:
    friend struct DebuggerLayout;
    friend class FiberList;
    friend class Inbox;
    friend class Scheduler;
    friend class StackArena;
    friend class StackArenas;
    friend class Worker;

    // The C++ ABI's per-thread exception state; swapped at every switch (Itanium C++ ABI 2.2.2).
    struct ExceptionState {
        void* caught = nullptr;
        std::uintptr_t uncaught_count = 0;
    };

    // StackArena makes it out of zeroed memory, which is a free Fiber.
    Fiber() = delete;
    ~Fiber() = default;

    // The first two cache lines are what a switch touches.
    arch::Context context_;  // where to go on, while not running
    Fiber* next_ = nullptr;  // link of the one queue it is in
    ExceptionState exceptions_;
    std::uint64_t runnable_since_ticks_ = 0;
    std::uint64_t run_queue_ticks_ = 0;
    std::uint64_t running_ticks_ = 0;
    std::atomic<FiberState> state_{FiberState::kFree};
    std::atomic<WaitReason> wait_reason_{};
    std::uint32_t phase_ = 0;
    std::uint64_t request_ = 0;
    std::uint64_t switches_ = 0;
    std::atomic<std::uint64_t> id_{0};  // this and the name: atomic for dumps
    std::atomic<Ticks> parked_since_ticks_{0};
    std::atomic<const void*> wait_object_{nullptr};
    void (*entry_)(void* closure) = nullptr;
    void* closure_ = nullptr;
    Runtime* runtime_;

    std::array<std::uint64_t, kWaitReasons> waiting_ticks_{};
    std::uint32_t slot_index_ = 0;  // in the StackArena
    StackClass stack_class_{};
    std::atomic<bool> measured_{false};  // fresh memory: its depth is recorded when it ends
    std::atomic<const char*> name_{nullptr};
};

// The calling fiber; nullptr on a scheduler's stack and on threads that are not workers.
// Cost: 1-2 ns (one call; see rt/current_worker.h for why it is not inline).
Fiber* current() noexcept;

// Says what the calling fiber works on until it says otherwise: for readers outside of the process
// (rt/outside_record.h). 0: nothing. A new fiber has none. Cost: 2 ns.
void set_request(std::uint64_t request, std::uint32_t phase = 0) noexcept;

// Puts the calling fiber at the tail of its worker's run queue and runs others first. Suspends.
void yield();

// For loops that may run long between suspensions (parsing, checksums, compaction): yields when the
// fiber has used up its budget of limits::kFiberBudget calls. Every operation of sync and io that
// did not have to wait calls it too, so that a fiber whose channel is always full cannot starve the
// others. May suspend. Cost when it does not: below 1 ns.
inline void checkpoint();

namespace detail {
void budget_spent();
}

inline void checkpoint() {
    if (use_budget()) [[unlikely]]
        detail::budget_spent();
}

}  // namespace sluice::rt
