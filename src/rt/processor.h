// Processor: what a worker works with - its runnable fibers, timers, stacks and counters. Other
// workers look at it only to steal.
//
// Runnable fibers, in the order in which pop() takes them:
//   run_next   the fiber that the running one has just made ready: its data is hot, and the two
//              often answer each other. At most limits::kRunNextMax in a row before the queue.
//   arrivals   fibers started on this very worker by spawn_on; never stolen before their first run
//   queue      all others, first in, first out; thieves take half
// In a simulation all of them form one bag, and a seed decides which comes next.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "rt/counter.h"
#include "rt/inbox.h"
#include "rt/local_queue.h"
#include "rt/lock_profile.h"
#include "rt/poller.h"
#include "rt/stack_arenas.h"
#include "rt/stack_cache.h"
#include "rt/timer_heap.h"
#include "rt/trace_ring.h"

namespace sluice::rt {

struct Counters {
    Counter started, ended, switches, steals, stolen, overflows, polls, parks, timers,
        timers_rescued, events_rescued, yields_forced, steals_far, slept_ticks;
};

class Processor {
  public:
    Processor(StackArenas& arenas, unsigned index, std::optional<std::uint64_t> seed)
        : stacks{StackCache(arenas.of(StackClass::kSmall)),
                 StackCache(arenas.of(StackClass::kNormal)),
                 StackCache(arenas.of(StackClass::kLarge))},
          trace(static_cast<std::uint16_t>(index)),
          random_(seed.value_or(0)) {
        if (seed) bag_ = std::make_unique<std::vector<Fiber*>>();
    }
    ~Processor() { SLUICE_CHECK(run_next_.load() == nullptr && arrivals_.empty()); }

    // The owner. False: the queue is full.
    bool push(Fiber* fiber) {
        if (bag_ == nullptr) [[likely]]
            return queue.push(fiber);
        push_random(fiber);
        return true;
    }

    // The owner. Puts the fiber first and returns the one that was there, or nullptr.
    Fiber* swap_run_next(Fiber* fiber) noexcept {
        return run_next_.exchange(fiber, std::memory_order_acq_rel);
    }

    // The owner. The next fiber to run, or nullptr.
    Fiber* pop() {
        const bool only_queue = bag_ == nullptr && arrivals_.empty() && inbox.empty() &&
                                run_next_.load(std::memory_order_relaxed) == nullptr;
        if (!only_queue) return pop_in_order();
        run_next_streak_ = 0;
        return queue.pop();
    }

    // How many fibers wait here, arrivals included. The owner.
    std::size_t waiting() const noexcept {
        return queue.size() + (run_next_.load(std::memory_order_relaxed) != nullptr ? 1 : 0) +
               arrivals_.size() + (bag_ != nullptr ? bag_->size() : 0);
    }

    // Any thread.
    bool has_run_next() const noexcept {
        return run_next_.load(std::memory_order_relaxed) != nullptr;
    }

    // Any worker: takes the run_next fiber, which its owner seems to be kept from running.
    Fiber* steal_run_next() noexcept {
        if (run_next_.load(std::memory_order_acquire) == nullptr) return nullptr;
        return run_next_.exchange(nullptr, std::memory_order_acq_rel);
    }

    StackCache& stacks_of(StackClass size) noexcept {
        return stacks[static_cast<std::size_t>(size)];
    }

    LocalQueue queue;
    Inbox inbox;
    TimerHeap timers;
    std::array<StackCache, kStackClasses> stacks;  // by StackClass
    Counters counters;
    TraceRing trace;
    LockProfile locks;
    std::unique_ptr<Poller> poller;  // set while the worker serves
    // When the running slice began, a fiber's or the scheduler's; 0 while the worker sleeps or does
    // not serve. How thieves and the monitor tell a busy owner from a stuck one. A release, so that
    // whoever sees it may use `poller`.
    std::atomic<Ticks> slice_start_ticks{0};

    // When the owner went to sleep in its poller; 0: it is awake. Earlier sleeps: slept_ticks.
    std::atomic<Ticks> asleep_since_ticks{0};

  private:
    Fiber* pop_in_order();
    Fiber* pop_random();
    void push_random(Fiber* fiber);

    std::atomic<Fiber*> run_next_{nullptr};
    unsigned run_next_streak_ = 0;
    FiberList arrivals_;
    std::unique_ptr<std::vector<Fiber*>> bag_;  // simulation only
    std::uint64_t random_;                      // state of SplitMix64
};

}  // namespace sluice::rt
