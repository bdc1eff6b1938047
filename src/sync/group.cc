#include "sync/group.h"

#include "base/check.h"

namespace sluice::sync {

Group::Group(const Context* parent, std::uint64_t limit)
    : context_(parent), slots_(limit), limit_(limit) {
    SLUICE_CHECK(limit > 0);
}

Group::~Group() {
    SpinGuard guard(lock_);
    SLUICE_CHECK(running_ == 0);
    SLUICE_CHECK(!first_error_.has_value());
}

void Group::set_limit(std::uint64_t limit) {
    SLUICE_CHECK(limit > 0 && running() == 0);
    const bool all_free = slots_.try_acquire(limit_);
    SLUICE_CHECK(all_free);
    slots_.release(limit);
    limit_ = limit;
}

void Group::started() noexcept {
    SpinGuard guard(lock_);
    ++running_;
}

// The release of lock_ is the last access to the group: the joiner looks at running_ under the lock
// and may then destroy the group. So the slot is given back before.
void Group::ended(Status status) noexcept {
    bool first = false;
    if (!status) {
        SpinGuard guard(lock_);
        first = !first_error_.has_value();
        if (first) first_error_.emplace(status.error());
    }
    if (first) context_.cancel(status.error());
    if (limit_ != kNoLimit) slots_.release(1);
    WaitList joiners;
    {
        SpinGuard guard(lock_);
        SLUICE_CHECK(running_ > 0);
        if (--running_ == 0) joiners_.claim_all(joiners);
    }
    joiners.notify_all();
}

Status Group::wait() {
    Waiter waiter;
    WaitNode node(waiter);
    bool joined = false;
    {
        SpinGuard guard(lock_);
        joined = running_ == 0;
        if (!joined) joiners_.push_back(node);
    }
    if (!joined) waiter.wait(Context::background(), rt::WaitReason::kGroup, this);
    SpinGuard guard(lock_);
    if (!first_error_.has_value()) return {};
    Error error = std::move(*first_error_);
    first_error_.reset();
    return fail(std::move(error));
}

std::uint64_t Group::running() const noexcept {
    SpinGuard guard(lock_);
    return running_;
}

}  // namespace sluice::sync
