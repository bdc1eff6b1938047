// LockProfile: which locks fibers have waited for, who waited, and who had the lock meanwhile.
//
// sync::Mutex and sync::RwMutex report each wait that parked a fiber, when it is over
// (sync/lock_wait.h); a lock that is free, or becomes free while its taker spins, reports nothing
// and costs nothing. Waits are added up by lock, waiter's stack and holder's stack: all of
// limits::kLockShortWaitNs and more, and one in limits::kLockWaitsPerSample of the shorter ones,
// which counts as many. The totals count every wait. Not covered: SpinLock and base/mutex.h, which
// know no fibers.
//
// A profile belongs to a worker, which alone writes it, so that waiters on different workers do not
// meet here. It has limits::kLockProfileRows rows. A wait that finds no place replaces the one with
// the least time of limits::kLockProfileWays, whose waits then count as dropped: what costs much
// stays. Runtime::lock_profile() joins the workers' profiles, and observe/lock_text.h prints them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/spin_lock.h"
#include "rt/counter.h"

namespace sluice::rt {

// One side of a wait: a fiber, and from where it came to the lock.
struct LockParty {
    std::uint64_t fiber = 0;                               // 0: not known
    std::array<char, limits::kLockPartyNameBytes> name{};  // cut to fit; ends with a NUL
    // Return addresses, the innermost first; 0 behind the last.
    std::array<std::uintptr_t, limits::kLockProfileFrames> frames{};
};

// Waits for one lock, from one place, while one place held it.
struct LockContention {
    const void* lock = nullptr;  // its address; another one's later, if it was destroyed
    LockParty waiter;            // this and the next: of the longest wait
    LockParty holder;            // who had it for the longest part of the wait
    std::uint64_t waits = 0;
    std::uint64_t long_waits = 0;  // of those, of limits::kLockLongWaitNs and more
    std::uint64_t given_up = 0;    // of those, ended by a context
    TimeNs total_ns = 0;
    TimeNs longest_ns = 0;
    TimeNs last_ns = 0;  // when the last one ended, by the runtime's clock
};

struct LockTotals {
    std::uint64_t waits = 0;
    std::uint64_t long_waits = 0;
    TimeNs total_ns = 0;
};

struct LockReport {
    std::vector<LockContention> rows;  // the greatest total_ns first
    LockTotals totals;                 // exact
    std::uint64_t dropped_waits = 0;   // they had their row, and lost it to others
    TimeNs dropped_ns = 0;
};

class LockProfile {
  public:
    // The next three are the worker's. Whether a wait that begins is the one in so many.
    bool sample() noexcept { return ++begun_ % limits::kLockWaitsPerSample == 0; }
    // Each wait. About 2 ns.
    void count(TimeNs waited_ns) noexcept;
    // A wait, or several that agree in lock and stacks. Allocates at its first call. About 40 ns.
    void add(const LockContention& wait);

    // Appends the rows, and adds the totals. Any thread.
    void read(LockReport& report) const;
    LockTotals totals() const noexcept;

  private:
    std::uint64_t begun_ = 0;  // this and the next: the worker's own
    bool has_rows_ = false;
    Counter waits_, long_waits_, total_ns_;
    mutable SpinLock lock_;
    std::vector<LockContention> rows_ SLUICE_GUARDED_BY(lock_);
    std::uint64_t dropped_waits_ SLUICE_GUARDED_BY(lock_) = 0;
    TimeNs dropped_ns_ SLUICE_GUARDED_BY(lock_) = 0;
};

LockTotals& operator+=(LockTotals& sum, const LockTotals& more) noexcept;

// Joins rows that agree in lock and stacks, and sorts them.
void join_rows(std::vector<LockContention>& rows);

// The calling fiber and its stack, from the caller of the calling function on. All zero on threads
// and stacks that are no fiber's. About 15 ns.
LockParty lock_party_here() noexcept;

// LockProfile's sample(), count() and add() of the calling fiber's worker. They do not suspend.
bool sample_lock_wait() noexcept;
void count_lock_wait(TimeNs waited_ns) noexcept;
void record_lock_wait(const LockContention& wait);

}  // namespace sluice::rt
