#include "etcd/lessor.h"

#include <algorithm>

#include "base/check.h"
#include "etcd/errors.h"

namespace sluice::etcd {
namespace {

// now + ttl + extend, or kNever where that does not fit.
TimeNs deadline_after(TimeNs now, std::int64_t ttl_s, TimeNs extend_ns) {
    SLUICE_ASSERT(ttl_s <= limits::kLeaseTtlMaxSeconds);
    static_assert(limits::kLeaseTtlMaxSeconds <= INT64_MAX / kSecond);
    TimeNs deadline = 0;
    if (__builtin_add_overflow(now, ttl_s * kSecond, &deadline) ||
        __builtin_add_overflow(deadline, extend_ns, &deadline)) {
        return kNever;
    }
    return deadline;
}

std::int64_t full_ttl_s(const LeaseRecord& record) {
    return record.remaining_ttl_s > 0 ? record.remaining_ttl_s : record.granted_ttl_s;
}

}  // namespace

std::int64_t min_lease_ttl_s(int election_ticks, TimeNs heartbeat_ns) {
    const TimeNs least_ns = (3 * election_ticks) / 2 * heartbeat_ns;
    return (least_ns + kSecond - 1) / kSecond;
}

Result<LeaseGrant> Lessor::prepare(LeaseId id, std::int64_t ttl_s, std::uint64_t random) const {
    if (ttl_s > limits::kLeaseTtlMaxSeconds) return fail(errors::kLeaseTTLTooLarge);
    if (id == 0) {
        MutexLock lock(mutex_);
        do {
            id = static_cast<LeaseId>(random++ & INT64_MAX);
        } while (id == 0 || leases_.contains(id));
    }
    return LeaseGrant{id, std::max(ttl_s, options_.min_ttl_s)};
}

Result<LeaseRecord> Lessor::grant(LeaseId id, std::int64_t ttl_s) {
    if (id == 0) return fail(errors::kLeaseNotFound);
    if (ttl_s > limits::kLeaseTtlMaxSeconds) return fail(errors::kLeaseTTLTooLarge);
    MutexLock lock(mutex_);
    const auto [place, fresh] = leases_.try_emplace(id);
    if (!fresh) return fail(errors::kLeaseExist);
    Lease& lease = place->second;
    lease.record.granted_ttl_s = ttl_s;
    if (primary_) {
        lease.deadline_ns = deadline_after(clock_.now_ns(), ttl_s, 0);
        schedule(id, lease, lease.deadline_ns);
    }
    return lease.record;
}

Status Lessor::revoke(LeaseId id) {
    MutexLock lock(mutex_);
    const auto place = leases_.find(id);
    if (place == leases_.end()) return fail(errors::kLeaseNotFound);
    unschedule(id, place->second);
    leases_.erase(place);
    return {};
}

std::optional<LeaseRecord> Lessor::checkpoint(LeaseId id, std::int64_t remaining_ttl_s) {
    MutexLock lock(mutex_);
    const auto place = leases_.find(id);
    if (place == leases_.end()) return std::nullopt;
    place->second.record.remaining_ttl_s =
        std::clamp<std::int64_t>(remaining_ttl_s, 0, limits::kLeaseTtlMaxSeconds);
    return place->second.record;
}

void Lessor::restore(LeaseId id, const LeaseRecord& record) {
    MutexLock lock(mutex_);
    SLUICE_CHECK(!primary_);
    const auto [place, fresh] = leases_.try_emplace(id, Lease{.record = record});
    SLUICE_CHECK(fresh);
    SLUICE_ASSERT(place->second.deadline_ns == kNever);
}

bool Lessor::exists(LeaseId id) const {
    MutexLock lock(mutex_);
    return leases_.contains(id);
}

Renewal Lessor::renew(LeaseId id) {
    using enum Renewal::Outcome;
    MutexLock lock(mutex_);
    if (!primary_) return {.outcome = kNotPrimary};
    const auto place = leases_.find(id);
    if (place == leases_.end()) return {.outcome = kNotFound};
    Lease& lease = place->second;
    const TimeNs now = clock_.now_ns();
    if (lease.deadline_ns <= now) return {.outcome = kExpiring};
    const TimeNs deadline = deadline_after(now, lease.record.granted_ttl_s, 0);
    lease.deadline_ns = deadline;
    // Only a deadline that moved to the front moves in the schedule: after an extended promotion.
    if (deadline < lease.scheduled_ns) schedule(id, lease, deadline);
    return {kRenewed, lease.record.granted_ttl_s, lease.record.remaining_ttl_s > 0};
}

std::optional<LeaseTime> Lessor::time_to_live(LeaseId id) const {
    MutexLock lock(mutex_);
    const auto place = leases_.find(id);
    if (place == leases_.end()) return std::nullopt;
    const Lease& lease = place->second;
    LeaseTime time{full_ttl_s(lease.record), lease.record.granted_ttl_s};
    if (lease.deadline_ns != kNever) time.ttl_s = (lease.deadline_ns - clock_.now_ns()) / kSecond;
    return time;
}

std::vector<LeaseId> Lessor::leases() const {
    std::vector<std::pair<TimeNs, LeaseId>> sorted;
    {
        MutexLock lock(mutex_);
        sorted.reserve(leases_.size());
        for (const auto& [id, lease] : leases_) sorted.emplace_back(lease.deadline_ns, id);
    }
    std::ranges::sort(sorted);
    std::vector<LeaseId> ids;
    ids.reserve(sorted.size());
    for (const auto& [deadline, id] : sorted) ids.push_back(id);
    return ids;
}

std::size_t Lessor::size() const {
    MutexLock lock(mutex_);
    return leases_.size();
}

void Lessor::promote(TimeNs extend_ns) {
    MutexLock lock(mutex_);
    primary_ = true;
    const TimeNs now = clock_.now_ns();
    std::vector<std::pair<TimeNs, LeaseId>> by_deadline;
    by_deadline.reserve(leases_.size());
    for (const auto& [id, lease] : leases_) {
        by_deadline.emplace_back(deadline_after(now, full_ttl_s(lease.record), extend_ns), id);
    }
    spread(by_deadline);
    for (const auto& [deadline, id] : by_deadline) {
        Lease& lease = leases_.at(id);
        lease.deadline_ns = deadline;
        schedule(id, lease, deadline);
    }
    SLUICE_ASSERT(schedule_.size() <= leases_.size());
}

// Leases that were granted over minutes all start again at the same moment; without this they would
// also end at the same moment, and new ones would wait behind them.
void Lessor::spread(std::vector<std::pair<TimeNs, LeaseId>>& by_deadline) {
    const auto per_second = static_cast<std::size_t>(static_cast<TimeNs>(options_.expire_batch) *
                                                     kSecond / options_.expire_interval_ns);
    const std::size_t target = std::max<std::size_t>(1, per_second * 3 / 4);
    std::ranges::sort(by_deadline);
    for (std::size_t i = target; i < by_deadline.size(); ++i) {
        const TimeNs before = by_deadline[i - target].first;
        const TimeNs earliest = before > kNever - kSecond ? kNever : before + kSecond;
        by_deadline[i].first = std::max(by_deadline[i].first, earliest);
    }
}

TimeNs Lessor::collect_expired(std::vector<LeaseId>& out) {
    MutexLock lock(mutex_);
    const TimeNs now = clock_.now_ns();
    std::size_t taken = 0;
    while (!schedule_.empty() && schedule_.begin()->first <= now) {
        // Full: the rest waits, so that expiry never crowds out the other proposals.
        if (taken == options_.expire_batch) return now + options_.expire_interval_ns;
        const LeaseId id = schedule_.begin()->second;
        Lease& lease = leases_.at(id);
        if (lease.deadline_ns > now) {
            schedule(id, lease, lease.deadline_ns);
            continue;
        }
        schedule(id, lease, now + options_.expire_retry_ns);
        out.push_back(id);
        ++taken;
    }
    return schedule_.empty() ? kNever : schedule_.begin()->first;
}

void Lessor::schedule(LeaseId id, Lease& lease, TimeNs at_ns) {
    SLUICE_ASSERT(primary_);
    unschedule(id, lease);
    if (at_ns == kNever) return;
    lease.scheduled_ns = at_ns;
    const bool fresh = schedule_.emplace(at_ns, id).second;
    SLUICE_ASSERT(fresh);
}

void Lessor::unschedule(LeaseId id, Lease& lease) {
    if (lease.scheduled_ns == kNever) return;
    const std::size_t erased = schedule_.erase({lease.scheduled_ns, id});
    SLUICE_ASSERT(erased == 1);
    lease.scheduled_ns = kNever;
}

}  // namespace sluice::etcd
