// Group: the fibers that belong to one piece of work. It starts them, bounds how many run at a
// time, joins them, and carries the first error: this cancels the group's context, so that the
// others stop.
//
//   sync::Group group(&context, /*limit=*/8);
//   for (const Part& part : parts) {
//       group.spawn([&] { return copy(part, group.context()); });   // Status, or void
//   }
//   SLUICE_TRY(group.wait());
//
// Every fiber of Sluice is started by a Group (STYLE rule 10). The destructor asserts that wait()
// has been called since the last spawn(); so nothing outlives the frame that its closures refer to.
// All calls are made on fibers; spawn() and cancel() also by the group's own fibers. Cost of
// spawn() and join together: see docs/sync.md; no allocation for closures up to
// limits::kFiberClosureBytesMax less 64 bytes.
//
// It is the same idea as Go's errgroup.Group (Go is spawn(), TryGo try_spawn(), SetLimit the
// constructor or set_limit(), WithContext context()) and Python's TaskGroup. That nothing is left
// behind, whatever ends a group and when: sync/rebalance_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "base/spin_lock.h"
#include "rt/runtime.h"
#include "sync/context.h"
#include "sync/semaphore.h"
#include "sync/wait_list.h"

namespace sluice::sync {

class Group {
  public:
    static constexpr std::uint64_t kNoLimit = UINT64_MAX;

    // At most `limit` fibers at a time; more spawn() calls wait their turn.
    explicit Group(const Context* parent, std::uint64_t limit = kNoLimit);
    ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // A new limit; nothing of the group may be running, and nobody may wait in spawn().
    void set_limit(std::uint64_t limit);

    // Ends with the parent, at the first error, and at cancel().
    const Context& context() const noexcept { return context_; }
    void cancel(std::string_view cause = "context canceled") { context_.cancel(cause); }
    void cancel(const Error& cause) { context_.cancel(cause); }

    // Starts fn() as a fiber. Suspends while `limit` are running. It is started also if the group
    // has been cancelled; fn looks at the context. fn returns Status or void and must not throw.
    // `traits`: the fiber's name, or {name, rt::StackClass}.
    template <class F>
    void spawn(F fn, rt::FiberTraits traits = {});
    // The same, but false if the limit is reached. Also from callbacks on the scheduler's stack.
    template <class F>
    bool try_spawn(F fn, rt::FiberTraits traits = {});

    // Suspends until all fibers have ended, and returns the first error among them (an error
    // because of cancellation counts only if no other came before). Not cancellable: joining always
    // happens. May be called again after further spawns.
    Status wait();

    std::uint64_t running() const noexcept;

  private:
    template <class F>
    void start(F fn, rt::FiberTraits traits);
    void started() noexcept;
    void ended(Status status) noexcept;

    Context context_;
    Semaphore slots_;
    std::uint64_t limit_;  // permits of slots_; not used if kNoLimit
    mutable SpinLock lock_;
    std::uint64_t running_ SLUICE_GUARDED_BY(lock_) = 0;
    std::optional<Error> first_error_ SLUICE_GUARDED_BY(lock_);
    WaitList joiners_ SLUICE_GUARDED_BY(lock_);
};

template <class F>
void Group::spawn(F fn, rt::FiberTraits traits) {
    if (limit_ != kNoLimit) (void)slots_.acquire(1);
    start(std::move(fn), traits);
}

template <class F>
bool Group::try_spawn(F fn, rt::FiberTraits traits) {
    if (limit_ != kNoLimit && !slots_.try_acquire(1)) return false;
    start(std::move(fn), traits);
    return true;
}

template <class F>
void Group::start(F fn, rt::FiberTraits traits) {
    started();
    rt::spawn(
        [this, body = std::move(fn)]() mutable {
            // The closure's captures may refer to what the joiner destroys: they go first.
            Status status;
            {
                F local = std::move(body);
                if constexpr (std::is_void_v<decltype(local())>) {
                    local();
                } else {
                    status = local();
                }
            }
            ended(std::move(status));
        },
        traits);
}

}  // namespace sluice::sync
