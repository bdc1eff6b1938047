// WorkerCount: how many workers should run fibers, from what the monitor measures. No threads, no
// clock: a function of the samples it was given.
//
// A fiber that blocks its thread (a page fault, a disk read in a library, a foreign call) leaves a
// CPU idle, unless there is one worker more. So the count follows from how the workers spent their
// time. Of the time in which they had something to do, let b be the part in which they were
// blocked, and not merely waiting for a CPU; then
//
//     cpus / (1 - b)                          workers keep all CPUs busy,
//     running + blocked + fibers that wait    workers are needed at all,
//
// and the smaller of the two is aimed at. Waiting for a CPU is left out because it is what too many
// workers cause: counted as blocked, each new worker would ask for the next.
//
// Against oscillation: samples are smoothed; a little more than the count has is no reason to go
// up; it goes up when two samples in a row ask for it, and comes down only to the most that any of
// the last limits::kWorkerCountWindows asked for. So a spike does nothing, and a load that
// alternates faster than that keeps its workers.
//
//   WorkerCount count({.min = 1, .max = 8, .cpus = 2});
//   const unsigned workers = count.sample({.window_ns = ..., .cpu_ns = ..., .blocked_ns = ...});
#pragma once

#include <array>

#include "base/clock.h"
#include "base/limits.h"

namespace sluice::rt {

// What the workers did together in one window of time.
struct WorkerLoad {
    TimeNs window_ns = 0;
    TimeNs cpu_ns = 0;      // ran
    TimeNs blocked_ns = 0;  // neither ran, nor waited for a CPU, nor slept for want of work
    unsigned queued = 0;    // fibers that wait for a worker, at the window's end
};

class WorkerCount {
  public:
    struct Bounds {
        unsigned min = 1;
        unsigned max = 1;
        unsigned cpus = 1;
    };
    // Begins at the number of CPUs, within the bounds.
    explicit WorkerCount(Bounds bounds);

    unsigned count() const noexcept { return count_; }
    // Takes a sample; the count from now on.
    unsigned sample(const WorkerLoad& load) noexcept;

  private:
    double needed() const noexcept;

    const Bounds bounds_;
    unsigned count_;
    // Sums in which older samples fade.
    double window_ns_ = 0;
    double cpu_ns_ = 0;
    double blocked_ns_ = 0;
    double queued_ns_ = 0;  // fibers times time
    unsigned last_target_;
    std::array<unsigned, limits::kWorkerCountWindows> asked_{};  // the last ones, a ring
    unsigned next_ = 0;
};

}  // namespace sluice::rt
