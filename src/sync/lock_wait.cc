#include "sync/lock_wait.h"

#include <algorithm>

#include "base/limits.h"
#include "rt/runtime.h"

namespace sluice::sync {

LockWait::LockWait(const void* lock) noexcept
    : ticks_(rt::Runtime::current().ticks()),
      lock_(lock),
      since_(ticks_.now()),
      sampled_(rt::sample_lock_wait()) {}

bool LockWait::is_recorded(Ticks now) const noexcept {
    return sampled_ || lasted_ns(now) >= limits::kLockShortWaitNs;
}

void LockWait::blame(const rt::LockParty& holder, Ticks from, Ticks until) noexcept {
    from = std::max(from, since_);
    if (until < from || until - from < longest_.until - longest_.from) return;
    longest_ = {holder, from, until};
}

void LockWait::let_go(LockWait& next, LockWait* head, Ticks now, bool by_holder) noexcept {
    const Ticks from = std::max(next.released_, next.since_);
    next.released_ = now;
    if (by_holder && (next.is_recorded(now) || (head != nullptr && head->is_recorded(now)))) {
        next.blame(rt::lock_party_here(), from, now);
    }
    if (head == nullptr) return;
    head->released_ = now;
    const Hold& longest = next.longest_;
    if (longest.holder.fiber != 0) head->blame(longest.holder, longest.from, longest.until);
}

void LockWait::over() const {
    if (released_ != 0) count(released_, false);
}

void LockWait::given_up() {
    const Ticks now = ticks_.now();
    blame({}, std::max(released_, since_), now);
    count(now, true);
}

void LockWait::count(Ticks until, bool given_up) const {
    const TimeNs waited_ns = ticks_.to_ns(until - since_);
    rt::count_lock_wait(waited_ns);
    if (!is_recorded(until)) return;
    const bool is_short = waited_ns < limits::kLockShortWaitNs;
    const std::uint64_t weight = is_short ? limits::kLockWaitsPerSample : 1;
    rt::record_lock_wait({.lock = lock_,
                          .waiter = rt::lock_party_here(),
                          .holder = longest_.holder,
                          .waits = weight,
                          .long_waits = waited_ns >= limits::kLockLongWaitNs ? 1U : 0U,
                          .given_up = given_up ? weight : 0,
                          .total_ns = waited_ns * static_cast<TimeNs>(weight),
                          .longest_ns = waited_ns,
                          .last_ns = rt::Runtime::current().clock().now_ns()});
}

}  // namespace sluice::sync
