// ThreadRoster: which threads of a BlockingPool are alive, which of them sleep, and whether enough
// of them come for the jobs. It is the pool's protocol without its threads and its queue, so that a
// test can run every interleaving of it (rt/thread_roster_test.cc).
//
//     whoever submits                             a thread of the pool
//     1. expect_job(), then publishes the job     1. announce(), then looks for a job
//     2. summon(), and wakes that thread          2. sleeps until it is woken, or leave()s
//     3. if no thread comes: claim(), and         3. withdraw(), and then either runs the job
//        starts a thread in that slot                and add_spare()s, or tries to retire()
//
// Both sides first publish, then look, so that one of them sees the other (all operations are
// sequentially consistent). There is no lock: the pool's threads lose their CPU at any instruction,
// and must hold up nobody then. Who may call: see above; each takes some 10 ns.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/check.h"

namespace sluice::rt {

// Atomic: std::atomic; tests put in model::Atomic.
template <template <class> class Atomic = std::atomic>
class ThreadRoster {
  public:
    static constexpr unsigned kMaskBits = 64;

    // Slots are numbered 0 .. slots - 1.
    explicit ThreadRoster(unsigned slots) : slots_(slots) { SLUICE_CHECK(slots <= kMaskBits); }

    // ---- by whoever submits

    // True: a thread is spare, and comes for the job. Else a new one is needed.
    bool expect_job() noexcept { return spare_.fetch_sub(1) > 0; }

    // Takes the first thread that has announced itself off the list: the caller wakes it.
    std::optional<unsigned> summon() noexcept {
        Mask idle = idle_.load();
        while (idle != 0) {
            if (idle_.compare_exchange_weak(idle, idle & (idle - 1))) return first_of(idle);
        }
        return {};
    }

    // A slot for a new thread; none if all are taken: those threads do the job.
    std::optional<unsigned> claim() noexcept {
        Mask alive = alive_.load();
        while (static_cast<unsigned>(std::popcount(alive)) < slots_) {
            const unsigned slot = first_of(~alive);
            if (alive_.compare_exchange_weak(alive, alive | bit(slot))) return slot;
        }
        return {};
    }
    // No thread could be started in a claimed slot. False: nor is there another one.
    [[nodiscard]] bool disclaim(unsigned slot) noexcept {
        const Mask before = alive_.fetch_and(~bit(slot));
        SLUICE_ASSERT((before & bit(slot)) != 0);
        return before != bit(slot);
    }

    // ---- by a thread of the pool, with its own slot

    // It has begun, or is done with a job.
    void add_spare() noexcept { spare_.fetch_add(1); }
    void announce(unsigned slot) noexcept { idle_.fetch_or(bit(slot)); }
    // False: somebody has summoned the thread, and wakes it.
    bool withdraw(unsigned slot) noexcept { return (idle_.fetch_and(~bit(slot)) & bit(slot)) != 0; }

    // False: a submitter counts on this thread. Else it is not spare any more.
    bool leave() noexcept {
        int spare = spare_.load();
        while (spare > 0) {
            if (spare_.compare_exchange_weak(spare, spare - 1)) return true;
        }
        return false;
    }

    // By one that has left and withdrawn. False: it is wanted after all, and goes on as a spare
    // one. True: it ends, and touches its slot no more, which may be another thread's by now.
    bool retire(unsigned slot) noexcept {
        alive_.fetch_and(~bit(slot));
        if (spare_.load() >= 0) return true;
        // Whoever has claimed the slot meanwhile starts a thread, which does as well.
        if ((alive_.fetch_or(bit(slot)) & bit(slot)) != 0) return true;
        add_spare();
        return false;
    }

    // ---- any thread

    unsigned alive() const noexcept { return static_cast<unsigned>(std::popcount(alive_.load())); }

  private:
    using Mask = std::uint64_t;  // a bit for each slot
    static_assert(kMaskBits == 8 * sizeof(Mask));

    static Mask bit(unsigned slot) noexcept { return Mask{1} << slot; }
    static unsigned first_of(Mask mask) noexcept {
        return static_cast<unsigned>(std::countr_zero(mask));
    }

    const unsigned slots_;
    // Announced: about to look for a job, or asleep after such a look.
    Atomic<Mask> idle_{Mask{0}};
    Atomic<Mask> alive_{Mask{0}};
    // Threads that run no job, less the jobs that no thread has taken.
    Atomic<int> spare_{0};
};

}  // namespace sluice::rt
