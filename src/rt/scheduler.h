// Scheduler: what the workers of one runtime share, and the protocol by which they sleep and wake.
//
// Work is never announced to a worker that could do it already: a fiber that was made ready by
// another runs next on the same worker. Only when more is waiting does wake_one() wake a sleeper.
// The rule is Go's (runtime/proc.go, "Worker thread parking/unparking"): wake only if somebody
// sleeps and nobody spins, i.e. searches for work already. A spinner that finds work wakes the next
// if there is more. So wake-ups spread in a chain, and at most one search runs ahead of the work.
//
// No wake-up is lost, since both sides first publish, then look (all sequentially consistent):
//
//     whoever adds work                       a worker that goes to sleep
//     1. puts the fiber in a queue            1. enters the set of sleepers
//     2. looks for spinners, then sleepers    2. leaves the spinners (if it was one)
//                                             3. looks at all queues again
//
// The set of sleepers changes under lock_. A worker leaves it either by itself (an event, a timer)
// or is taken out by whoever wakes it, who then gives it a token: it counts as spinning already.
// The blocking pool's threads do neither (nudge_one()); who is woken by them takes a token itself.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/spin_lock.h"
#include "base/tick_clock.h"
#include "rt/backtrace.h"
#include "rt/blocking_pool.h"
#include "rt/debugger_view.h"
#include "rt/global_queue.h"
#include "rt/monitor.h"
#include "rt/runtime.h"
#include "rt/stack_arenas.h"
#include "rt/worker.h"
#include "rt/worker_list.h"

namespace sluice::rt {

// A trace ring of several threads.
class SharedTrace {
  public:
    void record(TraceKind kind, Ticks ticks, std::uint64_t fiber, std::uint64_t other,
                WaitReason reason) noexcept {
        const SpinGuard guard(lock_);
        ring_.record(kind, ticks, fiber, other, reason);
    }
    void read(std::vector<TraceEvent>& out) const { ring_.read(out); }

  private:
    SpinLock lock_;
    TraceRing ring_{TraceEvent::kNoWorker};  // written under the lock above
};

class Scheduler {
  public:
    Scheduler(Runtime& runtime, Options options);
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;
    ~Scheduler();

    void run(std::function<void()> main);

    Runtime& runtime() noexcept { return runtime_; }
    const Clock& clock() const noexcept { return *clock_; }
    const TickClock& ticks() const noexcept { return ticks_; }
    StackArenas& stacks() noexcept { return stacks_; }
    GlobalQueue& global_queue() noexcept { return global_queue_; }
    BlockingPool& blocking_pool() noexcept { return *blocking_pool_; }
    MemoryLimit* memory() noexcept { return options_.memory; }
    // Memory is wanted back: every worker that sleeps wakes up, to give back what it keeps.
    void wake_all();
    Monitor& monitor() noexcept { return monitor_; }
    // Spare ones included.
    const WorkerList& workers() const noexcept { return workers_; }
    // Those that Options asked for; the indices from here on are spare workers'.
    unsigned base_workers() const noexcept { return base_workers_; }
    unsigned spares_max() const noexcept { return spares_max_; }
    // The first ones of the base workers; the others stand aside (Options::workers_min).
    unsigned active_workers() const noexcept {
        return active_workers_.load(std::memory_order_relaxed);
    }
    bool adapts() const noexcept {
        return options_.workers_min > 0 && options_.workers_min < base_workers_;
    }
    // By the monitor. At least 1, at most base_workers().
    void set_active_workers(unsigned count);
    const Options& options() const noexcept { return options_; }
    Stats stats() const;
    std::string dump();
    std::vector<TraceEvent> trace() const;
    LockReport lock_profile() const;
    // Into the ring of `worker`, the calling one, or with nullptr into that of all other threads
    // but the blocking pool's.
    void record(Worker* worker, TraceKind kind, Ticks ticks, const Fiber& fiber,
                std::uint64_t other = 0, WaitReason reason = WaitReason::kOther);

    detail::NewFiber new_fiber(std::size_t closure_bytes, FiberTraits traits,
                               void (*entry)(void* closure));
    void start_on(unsigned worker, Fiber* fiber);
    // parked -> runnable, and no more. by: the calling worker, nullptr on other threads.
    void make_runnable(Fiber* fiber, Worker* by, bool in_pool = false);
    void ready_foreign(FiberList&& fibers);  // runnable ones, from no worker of ours
    // ready() by a thread of the blocking pool, whose priority is low: wherever it loses its CPU,
    // it holds no lock that others take, and no token on which they rely.
    void ready_from_pool(Fiber* fiber);
    void record_blocking(TraceKind kind, const Fiber& fiber);
    bool owns(const Fiber& fiber) const noexcept { return fiber.runtime_ == &runtime_; }
    void hold(int change) noexcept { foreign_threads_.fetch_add(change); }

    // A worker may begin to spin if that leaves at most half of the busy ones spinning.
    bool may_spin() const noexcept;
    void begin_spinning() noexcept { spinning_.fetch_add(1); }
    // True if it was the last spinner.
    bool end_spinning() noexcept { return spinning_.fetch_sub(1) == 1; }
    // Wakes one sleeper if nobody spins.
    void wake_one();
    // The same without lock and token: the sleeper leaves the set by itself. Callers at once may
    // choose the same one, which wakes the next if there is more.
    void nudge_one();
    // Makes a certain worker look at its inbox.
    void wake_worker(unsigned index);

    void fall_asleep(Worker& worker);
    // True: was woken with a spinning token.
    bool wake_up(Worker& worker);
    // Anything that `worker`, about to sleep, could run or search for.
    bool work_in_sight(Worker& worker) const noexcept;
    bool work_to_steal() const noexcept;

    // Called by a worker that is in the set of sleepers and has found nothing. If it is the last
    // one awake: stops the runtime when no fiber is left, reports a deadlock when none can run
    // again. True: look for work again before you sleep.
    bool last_one_verdict();
    // True: the worker shall end.
    bool should_end(Worker& worker);

    // By the monitor.
    void report_stall(const StallReport& report);
    // All workers are stuck and work waits: wakes a sleeping spare worker, or starts one if
    // `may_start` and there are less than limits::kSpareWorkersMax. True: started one.
    bool call_spare(bool may_start);
    // From now on spare workers serve only what they have themselves.
    void dismiss_spares() noexcept { spares_wanted_.store(false); }
    bool spares_wanted() const noexcept { return spares_wanted_.load(); }

  private:
    std::uint64_t live() const noexcept;
    std::uint64_t switches() const noexcept;
    // rt/fiber_dump.cc
    bool read_parked(const Fiber& fiber, Backtrace& out) const;
    void describe(std::string& text, const Fiber& fiber, FiberState state);

    bool deadlocked() const;
    void report_deadlock();
    std::unique_ptr<Worker> make_worker(unsigned index);
    void serve(unsigned index);
    void place_thread(const std::vector<unsigned>& cpus);
    Worker* take_sleeper(unsigned index, bool with_token) SLUICE_REQUIRES(lock_);

    Runtime& runtime_;
    const Options options_;
    SystemClock system_clock_;
    const Clock* const clock_;
    TickClock ticks_;
    StackArenas stacks_;
    const std::array<ShownToDebuggers, kStackClasses> shown_to_debuggers_{
        ShownToDebuggers(stacks_.of(StackClass::kSmall)),
        ShownToDebuggers(stacks_.of(StackClass::kNormal)),
        ShownToDebuggers(stacks_.of(StackClass::kLarge))};
    GlobalQueue global_queue_;
    const std::vector<unsigned> cpus_;  // of threads without a place; empty: nothing is pinned
    unsigned base_workers_ = 0;
    std::atomic<unsigned> active_workers_{0};  // changes under lock_
    std::atomic<std::uint64_t> active_worker_changes_{0};
    unsigned spares_max_ = 0;
    WorkerList workers_;
    Monitor monitor_{*this};
    std::unique_ptr<BlockingPool> blocking_pool_;  // ends before the workers: its threads wake them

    std::atomic<int> spinning_{0};
    std::atomic<int> sleepers_{0};            // change under lock_; read without it
    std::atomic<int> spare_sleepers_{0};      // spare workers, which are not among the above
    std::atomic<int> aside_sleepers_{0};      // those that stand aside, neither
    std::atomic<bool> spares_wanted_{false};  // by the monitor: they shall do others' work
    std::atomic<unsigned> spares_{0};         // serving in this run()
    std::vector<std::thread> spare_threads_;  // the monitor's, after it run()'s
    std::atomic<bool> stopping_{false};
    std::atomic<int> foreign_threads_{0};
    std::atomic<std::uint64_t> started_elsewhere_{0};  // fibers, by spawn_on
    std::atomic<std::uint64_t> next_fiber_id_{1};
    std::atomic<std::uint64_t> wakes_{0};
    std::atomic<std::uint64_t> unplaced_threads_{0};
    SharedTrace foreign_trace_;
    SharedTrace pool_trace_;  // the blocking pool's: who waits for its lock has a low priority, too
    Mutex lock_;
    unsigned serving_ SLUICE_GUARDED_BY(lock_) = 0;      // workers in serve()
    std::atomic<std::uint64_t> verdict_at_switches_{0};  // of the last reported deadlock
};

}  // namespace sluice::rt
