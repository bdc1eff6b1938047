// WorkerLoadMeter: what the workers of a runtime did since it was asked last (WorkerLoad).
//
// A worker's time is made of: asleep in its poller (it says so itself), on a CPU (its thread's CPU
// clock), waiting for one (the kernel: /proc/self/task/TID/schedstat), and the rest, in which it
// was blocked: a page fault, a disk read, a foreign lock. A wait for a CPU is accounted when it
// ends, so one that straddles two samples makes `blocked_ns` too large in the first and too small,
// even negative, in the second; over several samples the sum is right.
//
// By one thread, the monitor's. take() costs about 2 us a worker.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/tick_clock.h"
#include "rt/worker_count.h"

namespace sluice::rt {

class Scheduler;
class Worker;

class WorkerLoadMeter {
  public:
    // tasks: the folder of the threads' folders; for tests.
    explicit WorkerLoadMeter(Scheduler& scheduler, std::string tasks = "/proc/self/task")
        : scheduler_(scheduler), tasks_(std::move(tasks)) {}
    WorkerLoadMeter(const WorkerLoadMeter&) = delete;
    WorkerLoadMeter& operator=(const WorkerLoadMeter&) = delete;
    ~WorkerLoadMeter();

    // Nothing at the first call, and where the kernel does not account for waits: it has no such
    // file, or one in which even the time on a CPU is 0 (CONFIG_SCHED_INFO, delayacct). A worker
    // that has just begun to serve counts from the next call on.
    std::optional<WorkerLoad> take();

  private:
    struct Spent {
        TimeNs slept_ns = 0;
        TimeNs cpu_ns = 0;
        TimeNs cpu_wait_ns = 0;
    };
    struct Seen {
        int thread_id = 0;
        int schedstat_fd = -1;
        Spent spent;
    };

    std::optional<Spent> read(Worker& worker, Seen& seen, Ticks now);
    bool open(Worker& worker, Seen& seen) const;
    static std::optional<TimeNs> cpu_wait_ns(const Seen& seen);
    unsigned queued() const noexcept;

    Scheduler& scheduler_;
    const std::string tasks_;
    Ticks taken_at_ = 0;
    std::array<Seen, limits::kWorkersMax + limits::kSpareWorkersMax> seen_{};
};

}  // namespace sluice::rt
