#include "rt/worker_count.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sluice::rt {
namespace {

// What is left of a sample's weight one window later: half of all weight is in the last two.
constexpr double kFading = 0.7;
// A longer window, as after a sleep of the monitor, weighs no more than this.
constexpr double kWindowMaxNs = 2.0 * limits::kMonitorTickNs;
// Workers are whole: a need of 2.2 is served by 2, one of 2.3 by 3.
constexpr double kRoundedDown = 0.25;
// But more are asked for only when the need is above the count by this part of it too, so that a
// need between two counts does not move it to and fro.
constexpr double kTolerated = 0.15;
// On top of what is needed at all, so that a fiber that comes finds a worker.
constexpr double kRoom = 0.5;

}  // namespace

WorkerCount::WorkerCount(Bounds bounds)
    : bounds_(bounds),
      count_(std::clamp(bounds.cpus, bounds.min, bounds.max)),
      last_target_(count_) {
    SLUICE_CHECK(bounds.min > 0 && bounds.min <= bounds.max && bounds.cpus > 0);
    asked_.fill(count_);
}

unsigned WorkerCount::sample(const WorkerLoad& load) noexcept {
    SLUICE_ASSERT(load.window_ns >= 0 && load.cpu_ns >= 0);
    const auto length_ns = static_cast<double>(load.window_ns);
    const double window_ns = std::min(length_ns, kWindowMaxNs);
    const double weight = length_ns > 0 ? window_ns / length_ns : 0;
    window_ns_ = window_ns_ * kFading + window_ns;
    cpu_ns_ = cpu_ns_ * kFading + static_cast<double>(load.cpu_ns) * weight;
    blocked_ns_ = blocked_ns_ * kFading + static_cast<double>(load.blocked_ns) * weight;
    queued_ns_ = queued_ns_ * kFading + load.queued * window_ns;
    if (window_ns_ <= 0) return count_;
    const double need = needed();
    const double whole = std::max(1.0, std::ceil(need - kRoundedDown));
    unsigned now = std::clamp(static_cast<unsigned>(whole), bounds_.min, bounds_.max);
    if (now > count_ && need <= count_ * (1 + kTolerated) + kRoundedDown) now = count_;
    asked_[next_] = std::min(now, last_target_);
    last_target_ = now;
    next_ = (next_ + 1) % asked_.size();
    count_ = *std::ranges::max_element(asked_);
    SLUICE_ASSERT(count_ >= bounds_.min && count_ <= bounds_.max);
    return count_;
}

double WorkerCount::needed() const noexcept {
    const double running = cpu_ns_ / window_ns_;
    // What was only put off to the next sample (see WorkerLoadMeter) may be negative here.
    const double blocked = std::max(0.0, blocked_ns_ / window_ns_);
    const double most = bounds_.max;
    const double at_all = running + blocked + queued_ns_ / window_ns_ + kRoom;
    if (running + blocked <= 0) return std::min(most, at_all);
    const double share_running = std::max(1e-3, running / (running + blocked));
    return std::min({most, at_all, bounds_.cpus / share_running});
}

}  // namespace sluice::rt
