// StackArenas: one runtime's stacks of all sizes, an arena each, and what is known of their depth.
#pragma once

#include <array>

#include "base/memory_limit.h"
#include "rt/fiber_depths.h"
#include "rt/stack_arena.h"

namespace sluice::rt {

class StackArenas final : public MemoryLimit::Cache {
  public:
    StackArenas(Runtime* runtime, std::size_t normal_bytes, MemoryLimit* memory);
    ~StackArenas();

    StackArena& of(StackClass size) noexcept { return arenas_[static_cast<std::size_t>(size)]; }
    const StackArena& of(StackClass size) const noexcept {
        return arenas_[static_cast<std::size_t>(size)];
    }
    StackArena::Bounds bounds(const Fiber* fiber) const noexcept {
        return of(fiber->stack_class()).bounds(fiber);
    }
    // As StackArena's.
    const Fiber* overflowed_into(const void* address) const noexcept;
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const StackArena& arena : arenas_) arena.for_each(visit);
    }

    // As StackArena's, for all of them.
    void set_tended(bool tended) noexcept;
    bool tend(TimeNs now_ns);
    void shrink() noexcept override;

    // By the worker on which it has just ended, of a fiber with measured_ set: records its depth.
    void record_depth(Fiber& fiber);
    // Looks at the slots; see StackArena::look().
    StackReport report();
    // The figures, without looking.
    StackArena::Figures figures() const;

  private:
    void record_live(StackArena& arena);

    std::array<StackArena, kStackClasses> arenas_;
    FiberDepths depths_;
    MemoryLimit* const memory_;
};

}  // namespace sluice::rt
