#include "rt/lock_profile.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/check.h"
#include "rt/backtrace.h"
#include "rt/current_worker.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

auto key(const LockContention& row) {
    return std::tie(row.lock, row.waiter.frames, row.holder.frames);
}

// FNV-1a over the key's words.
std::size_t hash(const LockContention& row) noexcept {
    constexpr std::uint64_t kPrime = 0x100000001b3;
    std::uint64_t value = 0xcbf29ce484222325 ^ reinterpret_cast<std::uintptr_t>(row.lock);
    for (const std::uintptr_t frame : row.waiter.frames) value = (value ^ frame) * kPrime;
    for (const std::uintptr_t frame : row.holder.frames) value = (value ^ frame) * kPrime;
    return static_cast<std::size_t>(value ^ value >> 32);
}

void join(LockContention& into, const LockContention& from) noexcept {
    if (from.longest_ns > into.longest_ns) {
        into.longest_ns = from.longest_ns;
        into.waiter = from.waiter;
        into.holder = from.holder;
    }
    into.waits += from.waits;
    into.long_waits += from.long_waits;
    into.given_up += from.given_up;
    into.total_ns += from.total_ns;
    into.last_ns = std::max(into.last_ns, from.last_ns);
}

LockProfile& profile_here() noexcept {
    Worker* const worker = current_worker();
    SLUICE_ASSERT(worker != nullptr);
    return worker->processor().locks;
}

}  // namespace

void LockProfile::count(TimeNs waited_ns) noexcept {
    SLUICE_ASSERT(waited_ns >= 0);
    waits_.add(1);
    if (waited_ns >= limits::kLockLongWaitNs) long_waits_.add(1);
    total_ns_.add(static_cast<std::uint64_t>(waited_ns));
}

void LockProfile::add(const LockContention& wait) {
    SLUICE_ASSERT(wait.lock != nullptr && wait.waits > 0);
    std::vector<LockContention> fresh;
    if (!has_rows_) fresh.resize(limits::kLockProfileRows);
    has_rows_ = true;
    const std::size_t home = hash(wait) % limits::kLockProfileRows;
    const SpinGuard guard(lock_);
    if (rows_.empty()) rows_.swap(fresh);
    LockContention* least = nullptr;
    for (std::size_t way = 0; way < limits::kLockProfileWays; ++way) {
        LockContention& row = rows_[(home + way) % limits::kLockProfileRows];
        if (row.lock != nullptr && key(row) == key(wait)) return join(row, wait);
        // Rows that were never used have no time at all.
        if (least == nullptr || row.total_ns < least->total_ns) least = &row;
    }
    dropped_waits_ += least->waits;
    dropped_ns_ += least->total_ns;
    *least = wait;
}

void LockProfile::read(LockReport& report) const {
    std::vector<LockContention> copy;
    copy.reserve(limits::kLockProfileRows);
    {
        const SpinGuard guard(lock_);
        copy.assign(rows_.begin(), rows_.end());
        report.dropped_waits += dropped_waits_;
        report.dropped_ns += dropped_ns_;
    }
    report.totals += totals();
    std::ranges::copy_if(copy, std::back_inserter(report.rows),
                         [](const LockContention& row) { return row.lock != nullptr; });
}

LockTotals LockProfile::totals() const noexcept {
    return {.waits = waits_.get(),
            .long_waits = long_waits_.get(),
            .total_ns = static_cast<TimeNs>(total_ns_.get())};
}

LockTotals& operator+=(LockTotals& sum, const LockTotals& more) noexcept {
    sum.waits += more.waits;
    sum.long_waits += more.long_waits;
    sum.total_ns += more.total_ns;
    return sum;
}

void join_rows(std::vector<LockContention>& rows) {
    std::ranges::sort(rows, [](const auto& a, const auto& b) { return key(a) < key(b); });
    std::vector<LockContention> joined;
    for (const LockContention& row : rows) {
        if (!joined.empty() && key(joined.back()) == key(row)) {
            join(joined.back(), row);
        } else {
            joined.push_back(row);
        }
    }
    std::ranges::sort(joined, std::greater(), &LockContention::total_ns);
    rows.swap(joined);
}

// Not inlined: it counts the frames between itself and the caller's caller.
[[gnu::noinline]] LockParty lock_party_here() noexcept {
    LockParty party;
    Worker* const worker = current_worker();
    const Fiber* const fiber = worker != nullptr ? worker->current() : nullptr;
    if (fiber == nullptr) return party;
    party.fiber = fiber->id();
    std::strncpy(party.name.data(), fiber->name(), party.name.size() - 1);
    const StackArena::Bounds stack = worker->scheduler().stacks().bounds(fiber);
    const auto* const own = static_cast<const std::uintptr_t*>(__builtin_frame_address(0));
    const auto* const caller = reinterpret_cast<const std::uintptr_t*>(own[0]);
    walk_frames(caller[1], caller[0], stack.lower, stack.upper, party.frames);
    return party;
}

bool sample_lock_wait() noexcept {
    return profile_here().sample();
}
void count_lock_wait(TimeNs waited_ns) noexcept {
    profile_here().count(waited_ns);
}
void record_lock_wait(const LockContention& wait) {
    profile_here().add(wait);
}

}  // namespace sluice::rt
