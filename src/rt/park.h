// park() and ready(): the one way a fiber waits, on which every mutex, channel and socket is built.
//
//   lock.lock();
//   waiters.push_back(rt::current());
//   rt::park(WaitReason::kMutex, [&lock](Fiber*) { lock.unlock(); return true; });
//   // ... some other fiber or thread, holding the lock, took this one off the list:
//   rt::ready(fiber)
//
// Promise: when `after` runs, the fiber is completely off its stack, so whoever learns of it
// through `after` may call ready() at once, from any thread.
#pragma once

#include <utility>

#include "rt/fiber.h"
#include "rt/wait_reason.h"

namespace sluice::rt {

namespace detail {
using AfterPark = bool (*)(void* closure, Fiber* fiber);
void park(WaitReason reason, const void* object, AfterPark after, void* closure);
}  // namespace detail

// Suspends the calling fiber. `after`, a bool(Fiber*), then runs on the scheduler's stack, where it
// may unlock the lock that guards the wait list, or publish the fiber. If it returns false the
// fiber goes on at once (and must not have been published). It must not suspend.
//
// The closure is moved to the scheduler's stack before it runs. What it refers to on the fiber's
// stack may be gone as soon as it has published the fiber: publishing is its last act.
//
// `object` is what the fiber waits for, a mutex say: its address goes into traces and dumps.
template <class F>
void park(WaitReason reason, F&& after, const void* object = nullptr) {
    using Closure = std::decay_t<F>;
    Closure closure(std::forward<F>(after));
    detail::park(
        reason, object,
        [](void* moved_from, Fiber* fiber) -> bool {
            Closure on_scheduler_stack(std::move(*static_cast<Closure*>(moved_from)));
            return on_scheduler_stack(fiber);
        },
        &closure);
}

// Makes a parked fiber runnable: exactly once for each park() whose `after` returned true. Any
// thread, worker or not, and the scheduler's stack (timer callbacks, I/O completions). Never
// suspends. Called by a fiber, the other fiber will run next on the same worker; called from a
// scheduler's stack it goes to the tail of that worker's queue; from other threads to the global
// queue, and an idle worker is woken if there is one.
void ready(Fiber* fiber);

// A list of parked fibers, linked through the fibers themselves: to make many ready at once. The
// owner must be the only one who may make them ready. Must be empty when destroyed.
class FiberList {
  public:
    FiberList() = default;
    FiberList(FiberList&& other) noexcept
        : head_(std::exchange(other.head_, nullptr)),
          tail_(std::exchange(other.tail_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    FiberList& operator=(FiberList&&) = delete;
    ~FiberList();

    bool empty() const noexcept { return head_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    void push_back(Fiber* fiber) noexcept;
    void push_front(Fiber* fiber) noexcept;
    // The first one, which stays; nullptr when empty.
    Fiber* front() const noexcept { return head_; }
    // Takes the first one off; nullptr when empty.
    Fiber* pop_front() noexcept;
    void append(FiberList&& other) noexcept;

  private:
    Fiber* head_ = nullptr;
    Fiber* tail_ = nullptr;
    std::size_t size_ = 0;
};

// ready() for each of the list, in order, with at most one wake-up of an idle worker: what a group
// commit calls for its waiters. Empties the list.
void ready_all(FiberList&& fibers);

}  // namespace sluice::rt
