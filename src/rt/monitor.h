// Monitor: a thread that looks at the workers of one runtime, names whoever keeps one from the
// others, and never interrupts a fiber.
//
// Every limits::kMonitorTickNs, for each worker that is in the same slice as at the last look:
//
//   older than kSliceNs   the fiber is asked to yield: its next checkpoint() does, and so does
//                         every operation of sync and io that need not wait. A sleeping worker is
//                         woken if the stuck one has work that others can do.
//   older than kStallNs   a stall: counted, and reported once with the fiber's stack, at most
//                         kStallReportsPerMinute times.
//
// When all workers have stalled and fibers, timers or I/O wait, a spare worker is started, up to
// limits::kSpareWorkersMax. It takes others' work as long as all of them are stuck; afterwards it
// serves its own fibers, timers and descriptors, sleeps otherwise, and ends with run().
//
// Where the number of workers follows the load (Options::workers_min), each look is a sample of it
// (rt/worker_load.h), and the monitor sets what rt/worker_count.h makes of that.
//
// Stacks are had, and io_uring's completions fetched, by SIGURG to the stuck thread. It restarts
// system calls; the few that never are (nanosleep, poll) may return early there, with EINTR.
//
// A slice is a fiber's turn, or a turn of the scheduler's own stack between two of them (timer
// callbacks). What a poller calls back before its worker has left a sleep belongs to no slice.
//
// At each look it also gives stacks back that have not been needed for a while (rt/stack_arena.h);
// ten times a second, and before it goes to sleep, it looks at the process's memory
// (base/memory_limit.h).
//
// After kMonitorIdleTicks looks at nothing but sleepers the thread sleeps until a worker wakes up,
// so an idle process is left alone. A look costs about 1 us a worker; a worker that wakes up pays
// one load, and one notification if the monitor sleeps. Not in simulations.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/limits.h"
#include "base/tick_clock.h"
#include "rt/worker_count.h"
#include "rt/worker_load.h"

namespace sluice::rt {

class Scheduler;
class Worker;
struct StallReport;

class Monitor {
  public:
    explicit Monitor(Scheduler& scheduler) : scheduler_(scheduler) {}
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;
    ~Monitor();

    // By Scheduler::run(). Between stop() and start() worker_awake() does nothing.
    void start();
    void stop();

    // By a worker, after it has published that it serves, or left its sleep.
    void worker_awake() noexcept {
        if (resting_.load()) rearm();
    }

    // Any thread.
    std::uint64_t ticks() const noexcept { return ticks_.load(std::memory_order_relaxed); }
    std::uint64_t stalls() const noexcept { return stalls_.load(std::memory_order_relaxed); }
    std::uint64_t stalls_suppressed() const noexcept {
        return stalls_suppressed_.load(std::memory_order_relaxed);
    }

  private:
    // What was seen of a worker at the last tick.
    struct Seen {
        Ticks slice_start = 0;
        std::uint64_t switches = 0;
        Ticks at = 0;       // when this slice was seen first
        TimeNs cpu_ns = 0;  // of its thread, then
        bool reported = false;
    };

    void serve();
    void rest(std::unique_lock<std::mutex>& lock);
    bool tick();
    TimeNs slice_age_ns(Worker& worker, Seen& seen);
    void look_at_memory(bool quiet);
    bool anyone_awake() const noexcept;
    bool work_for_others(Worker& worker);
    void report(Worker& worker, const Seen& seen);
    bool may_report();
    void rearm() noexcept;
    void adapt();

    Scheduler& scheduler_;
    std::thread thread_;
    std::mutex mutex_;  // for the condition and the flag after it
    std::condition_variable woken_;
    bool stopping_ = false;
    // Set by the monitor, which then looks whether anyone is awake; a worker first says that it is,
    // then looks here (both sequentially consistent).
    std::atomic<bool> resting_{false};

    std::array<Seen, limits::kWorkersMax + limits::kSpareWorkersMax>
        seen_{};                // this and the next: of the thread alone
    bool stacks_left_ = false;  // to be given back later
    bool memory_left_ = false;
    TimeNs minute_start_ns_ = 0;
    unsigned reports_in_minute_ = 0;
    std::uint64_t spare_started_at_ = 0;  // the tick
    // Only where the number of workers follows the load.
    std::optional<WorkerCount> worker_count_;
    std::optional<WorkerLoadMeter> load_meter_;
    std::atomic<std::uint64_t> ticks_{0};
    std::atomic<std::uint64_t> stalls_{0};
    std::atomic<std::uint64_t> stalls_suppressed_{0};
};

}  // namespace sluice::rt
