#include "rt/null_poller.h"

#include <chrono>

#include "base/check.h"

namespace sluice::rt {

unsigned NullPoller::poll(TimeNs timeout_ns) {
    SLUICE_ASSERT(timeout_ns >= 0);
    std::unique_lock lock(mutex_);
    const auto is_woken = [this] { return wake_pending_; };
    if (timeout_ns == kNever) {
        woken_.wait(lock, is_woken);
    } else if (timeout_ns > 0) {
        woken_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), is_woken);
    }
    wake_pending_ = false;
    return 0;
}

void NullPoller::wake() noexcept {
    {
        const std::lock_guard lock(mutex_);
        wake_pending_ = true;
    }
    woken_.notify_one();
}

}  // namespace sluice::rt
