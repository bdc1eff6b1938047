// Runtime: N worker threads that run any number of fibers, and what they share.
//
//   rt::Runtime runtime({.workers = 4, .make_poller = io::make_poller});
//   runtime.run([] { serve(); });          // returns when every fiber has ended
//
// Each worker has a run queue, a timer heap, a stack cache and a poller; a worker without work
// steals from the others, then sleeps in its poller. A fiber that is made ready runs next on the
// worker that made it ready, and another worker is woken only when more than that is waiting: a
// lone request-response pattern stays on one worker, and an idle process uses no CPU.
// docs/runtime.md explains the parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/tick_clock.h"
#include "rt/fiber.h"
#include "rt/lock_profile.h"
#include "rt/poller.h"
#include "rt/stack_report.h"
#include "rt/topology.h"
#include "rt/trace_event.h"

namespace sluice {
class MemoryLimit;
}

namespace sluice::rt {

class BlockingPool;
class Scheduler;

// A fiber that has kept its worker for longer than limits::kStallNs (rt/monitor.h).
struct StallReport {
    unsigned worker = 0;
    std::uint64_t fiber = 0;  // 0: the scheduler's own stack, or the worker did not answer
    std::string name;         // the fiber's
    TimeNs lasted_ns = 0;     // so far
    // CPU time that the worker's thread used during the last watched_ns of it. Much less than that:
    // it did not compute, but waited for the disk or for a CPU.
    TimeNs cpu_ns = 0;
    TimeNs watched_ns = 0;
    std::string stack;  // a line a frame; empty if the worker did not answer
};

struct Options {
    unsigned workers = 0;  // 0: one for each CPU this process may use
    // If it is above 0 and below `workers`: the number of them that run fibers at a time follows
    // the load, between the two (rt/worker_count.h). The others stand aside: they sleep, take their
    // own descriptors' events and timers, and hand on the fibers that these make ready. Decided by
    // the monitor; without it, or where the kernel does not account for waits, the number stays
    // that of the CPUs.
    unsigned workers_min = 0;
    // Where each worker runs, from the first on, and on whose memory it works (rt/topology.h);
    // those of one node steal from each other first. Empty, or a place without CPUs: anywhere.
    std::vector<WorkerPlace> places = {};
    // Called once, on the first thread that cannot have its CPUs (the process's cpuset has been
    // moved, say); it and later ones run where the system lets them. Empty: standard error.
    std::function<void(const Error& error)> on_unplaced = {};
    // Called by each worker's own thread before it serves (a ring may belong to that thread), once
    // in each run(). A spare worker's number is `workers` or more. Empty: a poller without I/O.
    std::function<std::unique_ptr<Poller>(unsigned worker)> make_poller = {};
    const Clock* clock = nullptr;  // not owned; nullptr: the machine's
    unsigned blocking_threads_max = limits::kBlockingThreadsMax;
    TimeNs blocking_thread_idle_ns = limits::kBlockingThreadIdleNs;
    // Of StackClass::kNormal; a multiple of 4096; doubled by sanitizers.
    std::size_t stack_bytes = limits::kFiberStackBytes;
    // Called on a worker when nothing can ever run again, with a dump of all fibers. Empty: the
    // dump goes to standard error and the process aborts. If it returns, the runtime sleeps on.
    std::function<void(const std::string& dump)> on_deadlock = {};
    // A thread that watches the workers (rt/monitor.h). Never in a simulation.
    bool monitor = true;
    // Called on that thread. It may block, but nothing is watched meanwhile. Empty: standard error.
    std::function<void(const StallReport& report)> on_stall = {};
    // Threads that it may add while all workers are stuck (rt/monitor.h), at most
    // limits::kSpareWorkersMax. Who asks for some has Runtime::worker_slots() places wherever it
    // keeps something by worker, and in a runtime of one worker fibers that may run at the same
    // time.
    unsigned spare_workers_max = 0;
    // Called on that thread when all workers are stuck, work waits, and it has started one more:
    // their number, at most limits::kSpareWorkersMax. Empty: standard error.
    std::function<void(unsigned spares)> on_spare = {};
    // Pools and stacks obey it; looked at by the monitor. Not owned, must outlive the runtime.
    MemoryLimit* memory = nullptr;
    // Simulation: one worker picks the next fiber at random from the runnable ones, by this seed.
    std::optional<std::uint64_t> schedule_seed = {};
};

// Sums over all workers since the start. Reading is cheap and not exact while workers run.
struct Stats {
    std::uint64_t fibers_started = 0;
    std::uint64_t fibers_ended = 0;
    std::uint64_t switches = 0;  // fibers switched in
    std::uint64_t steals = 0;    // successful ones
    std::uint64_t fibers_stolen = 0;
    std::uint64_t overflows = 0;  // local queue full: half went to the global queue
    std::uint64_t polls = 0;
    std::uint64_t parks = 0;  // workers gone idle
    std::uint64_t wakes = 0;  // idle workers woken by another thread or worker
    std::uint64_t timers_fired = 0;
    std::uint64_t timers_fired_for_others = 0;  // of those, on behalf of a busy worker
    std::uint64_t events_for_others = 0;        // of I/O, on behalf of a busy worker
    std::uint64_t yields_forced = 0;            // by the monitor, of fibers that ran for long
    std::uint64_t stalls = 0;                   // slices longer than limits::kStallNs
    std::uint64_t stalls_suppressed = 0;  // of those, not reported: too many, or over too soon
    std::uint64_t spare_workers = 0;      // added since run() began, since all others were stuck
    LockTotals locks;                     // waits for locks (rt/lock_profile.h)
    std::uint64_t active_workers = 0;     // that run fibers; see Options::workers_min
    std::uint64_t active_worker_changes = 0;  // of that number
    std::uint64_t steals_far = 0;             // of `steals`, from a worker of another node
    std::uint64_t monitor_ticks = 0;          // looks of the monitor at the workers
    std::uint64_t unplaced_threads = 0;       // times that a thread could not have its CPUs
    std::uint64_t stacks = 0;                 // stack slots ever carved
    std::uint64_t stacks_unguarded = 0;
};

class Runtime {
  public:
    explicit Runtime(Options options);
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;
    // No fiber, timer or blocking job may be left.
    ~Runtime();

    // Runs `main` as the first fiber and returns when every fiber has ended. The calling thread,
    // which must not be a fiber, serves as worker 0 meanwhile. May be called again after it has
    // returned.
    void run(std::function<void()> main);

    // Of the calling fiber, or of the calling worker's scheduler; asserts that there is one.
    static Runtime& current();

    unsigned workers() const noexcept;
    // Those that run fibers now, the first ones; see Options::workers_min.
    unsigned active_workers() const noexcept;
    // The number of the worker of this runtime on whose thread the caller runs; workers() if it is
    // a spare one or none. A fiber may be on another after any suspension. About 3 ns.
    unsigned worker_index() const noexcept;
    // Worker::index() is always below this, spare workers' too: so many places has what is kept by
    // it.
    unsigned worker_slots() const noexcept;
    const Clock& clock() const noexcept;
    // For stamps: about 10 ns. With an own Options::clock it is that clock.
    const TickClock& ticks() const noexcept;
    BlockingPool& blocking_pool() noexcept;
    // nullptr if there is none.
    MemoryLimit* memory() const noexcept;
    Stats stats() const;

    // Stacks by size and how deep they went, by size and by the fibers' names. Any thread; the
    // pages of some slots are looked at, about 0.1 ms.
    StackReport stack_report() const;

    // The last events of every worker (limits::kTraceRingEvents each) and of all other threads
    // together, by time. Any thread; workers go on meanwhile. About 10 us per thousand events.
    std::vector<TraceEvent> trace() const;

    // Each fiber: id, name, state, what it waits for and how long, and its stack; at most
    // limits::kDumpFibersMax of them. Any thread, also a fiber (whose own stack is left out); not
    // in a signal handler. Everything runs on meanwhile: a snapshot that is exact for fibers that
    // do not run. About 20 us a fiber.
    std::string dump() const;

    // Which locks fibers have waited for, who waited, and who had the lock. Any thread; everything
    // runs on meanwhile. About 0.1 ms a worker.
    LockReport lock_profile() const;

    // Internal to this layer.
    Scheduler& scheduler() noexcept { return *scheduler_; }

  private:
    std::unique_ptr<Scheduler> scheduler_;
};

// Held by a thread that is no worker for as long as it may make fibers ready that wait for a mutex,
// a channel or the like: it keeps the deadlock verdict away. Waits of the other reasons (kIo,
// kBlocking, kTimer, kProposal, kRead, kOther) need no hold. Any thread.
class ForeignThread {
  public:
    explicit ForeignThread(Runtime& runtime);
    ForeignThread(const ForeignThread&) = delete;
    ForeignThread& operator=(const ForeignThread&) = delete;
    ~ForeignThread();

  private:
    Runtime& runtime_;
};

namespace detail {
// A stack slot with `bytes` bytes for the closure below its Fiber.
struct NewFiber {
    Fiber* fiber;
    void* closure;
};
NewFiber new_fiber(Runtime* runtime, std::size_t closure_bytes, FiberTraits traits,
                   void (*entry)(void* closure));
void start_here(Fiber* fiber);
void start_on(Runtime& runtime, unsigned worker, Fiber* fiber);

template <class F>
Fiber* make_fiber(Runtime* runtime, F&& fn, FiberTraits traits) {
    using Closure = std::decay_t<F>;
    static_assert(sizeof(Closure) <= limits::kFiberClosureBytesMax, "put the data on the heap");
    static_assert(alignof(Closure) <= 64);
    const NewFiber made = new_fiber(runtime, sizeof(Closure), traits, [](void* closure) {
        Closure& body = *static_cast<Closure*>(closure);
        body();
        body.~Closure();
    });
    new (made.closure) Closure(std::forward<F>(fn));
    return made.fiber;
}
}  // namespace detail

// Starts a fiber on the calling worker's run queue; it runs when the caller next suspends, or
// earlier on another worker. From a fiber or a scheduler callback. `fn` is move-only if it likes
// and lies in the fiber's own stack slot: no allocation. It must not throw. `traits`: its name, or
// {name, StackClass}. Low level: users start fibers by sync::Group, which joins them.
template <class F>
Fiber* spawn(F&& fn, FiberTraits traits = {}) {
    Fiber* fiber = detail::make_fiber(nullptr, std::forward<F>(fn), traits);
    detail::start_here(fiber);
    return fiber;
}

// The same through a worker's inbox, from any thread: the fiber makes its first run on that worker,
// whatever the others do (later it may migrate), unless that worker stands aside
// (Options::workers_min). For per-worker setup: listeners, rings.
// A thread that is no worker must make sure that run() cannot return meanwhile.
template <class F>
void spawn_on(Runtime& runtime, unsigned worker, F&& fn, FiberTraits traits = {}) {
    Fiber* fiber = detail::make_fiber(&runtime, std::forward<F>(fn), traits);
    detail::start_on(runtime, worker, fiber);
}

}  // namespace sluice::rt
