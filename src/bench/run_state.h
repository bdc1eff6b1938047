// What all loops of one run share: the phase, the calls still to be made, the first failure.
//
//   kWarmup -> kMeasure -> kStop      set by the runner only
//
// Loops read the phase for every call; the runner waits in wait() for the end of a phase.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/clock.h"

namespace sluice::bench {

enum class Phase : std::uint8_t { kWarmup, kMeasure, kStop };

class RunState {
  public:
    // total: how many calls to measure; 0: no limit.
    explicit RunState(std::uint64_t total)
        : limited_(total > 0), left_(static_cast<std::int64_t>(total)) {}

    // Release and acquire: what the runner wrote before a phase is seen by the loops in it.
    Phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }
    void set_phase(Phase phase) noexcept { phase_.store(phase, std::memory_order_release); }

    // May another call be made in this phase? Takes one from the total while measuring.
    bool admit(Phase now) noexcept {
        if (now == Phase::kStop) return false;
        if (!limited_ || now == Phase::kWarmup) return true;
        return left_.fetch_sub(1, std::memory_order_relaxed) > 0;
    }

    // A loop has no client left that runs; or something broke, which ends the run.
    void loop_finished() {
        change([this] { ++finished_; });
    }
    void fail(const std::string& why) {
        change([&] {
            if (failure_.empty()) failure_ = why;
            failed_.store(true, std::memory_order_release);
        });
    }
    // A loop is connected and its streams are set up.
    void loop_ready() {
        change([this] { ++ready_; });
    }

    // Wait until `loops` loops are ready / finished, or a failure, or the time is over. Returns
    // false at a failure.
    bool wait_ready(unsigned loops, TimeNs timeout_ns) {
        return wait(timeout_ns, [this, loops] { return ready_ >= loops; }) && ready_ >= loops;
    }
    bool wait_finished(unsigned loops, TimeNs timeout_ns) {
        return wait(timeout_ns, [this, loops] { return finished_ >= loops; });
    }

    bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
    std::string failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }

  private:
    template <class F>
    void change(F&& f) {
        const std::lock_guard lock(mutex_);
        f();
        changed_.notify_all();
    }
    template <class F>
    bool wait(TimeNs timeout_ns, F&& done) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                          [&] { return done() || !failure_.empty(); });
        return failure_.empty();
    }

    std::atomic<Phase> phase_{Phase::kWarmup};
    std::atomic<bool> failed_{false};  // failure_ is set
    const bool limited_;
    std::atomic<std::int64_t> left_;  // relaxed: a ticket counter, it orders nothing else

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    unsigned ready_ = 0;
    unsigned finished_ = 0;
    std::string failure_;
};

}  // namespace sluice::bench
