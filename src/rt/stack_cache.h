// StackCache: the free fibers of one stack size that a worker keeps for itself, the hottest first.
// A slot that was just left has its pages mapped and its lines cached: taking it costs a few
// nanoseconds, a fresh one a page fault (2 us). Used by its worker only.
#pragma once

#include "base/limits.h"
#include "rt/park.h"
#include "rt/stack_arena.h"

namespace sluice::rt {

class StackCache {
  public:
    explicit StackCache(StackArena& arena) : arena_(arena) {}
    StackCache(const StackCache&) = delete;
    StackCache& operator=(const StackCache&) = delete;
    ~StackCache() { clear(); }

    Fiber* take() {
        if (free_.empty()) arena_.take(free_, kRefill);
        return free_.pop_front();
    }

    void give_back(Fiber* fiber) {
        free_.push_front(fiber);
        if (free_.size() <= limits::kStackCacheSlots) return;
        FiberList hot;
        for (unsigned i = 0; i < limits::kStackCacheSlots / 2; ++i) {
            hot.push_back(free_.pop_front());
        }
        arena_.give_back(std::move(free_));
        free_.append(std::move(hot));
    }

    // Gives all of them back.
    void clear() { arena_.give_back(std::move(free_)); }

    // The next one that take() gives, or nullptr.
    Fiber* hottest() const noexcept { return free_.front(); }
    StackArena& arena() noexcept { return arena_; }

  private:
    static constexpr unsigned kRefill = 8;
    StackArena& arena_;
    FiberList free_;
};

}  // namespace sluice::rt
