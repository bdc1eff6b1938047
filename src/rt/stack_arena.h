// StackArena: the stacks of one runtime's fibers, in slots of equal size, each with its Fiber
// object.
//
//     lower                                                             upper
//     | guard page | stack, grows downward  ...  | closure | Fiber | colour |
//
// Slots are carved from large mappings without swap reserve; only touched pages cost memory, so a
// parked fiber with a shallow stack costs one page. Guards are installed with MADV_GUARD_INSTALL
// (Linux 6.13), which does not split the mapping; on older kernels with mprotect, which does, and
// works for some 32,000 slots (vm.max_map_count); what cannot be guarded is counted.
// The colour is an offset that differs between neighbours: without it the hot lines of all fibers
// would fall into the same few sets of the first-level cache.
//
// Free slots are kept in a last-in-first-out depot (workers keep their own small cache in front of
// it). Beyond limits::kStackDepotWarm the memory of a slot that comes back is returned to the
// kernel, all but the page of its Fiber object, which stays for the sanitizers' state and for
// dumps.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/limits.h"
#include "base/mutex.h"
#include "rt/fiber.h"
#include "rt/park.h"

namespace sluice::rt {

class StackArena {
  public:
    StackArena(Runtime* runtime, std::size_t slot_bytes);
    StackArena(const StackArena&) = delete;
    StackArena& operator=(const StackArena&) = delete;
    // Every slot must be back in the depot.
    ~StackArena();

    // Moves `count` free fibers to `out`. Any thread. May map memory.
    void take(FiberList& out, std::size_t count);
    // Any thread.
    void give_back(FiberList&& fibers);

    // The usable stack of a fiber, below its Fiber object and above its guard.
    struct Bounds {
        char* lower;
        char* upper;
    };
    Bounds bounds(const Fiber* fiber) const noexcept;

    // The fiber whose guard page holds the address, or nullptr. Safe in a signal handler.
    const Fiber* overflowed_into(const void* address) const noexcept;

    // Calls visit(const Fiber&) for every slot ever carved, free ones too.
    template <class Visit>
    void for_each(Visit&& visit) const {
        const std::size_t count = carved_.load(std::memory_order_acquire);
        for (std::size_t index = 0; index < count; ++index) visit(*fiber_at(index));
    }

    std::size_t carved() const noexcept { return carved_.load(std::memory_order_acquire); }
    std::size_t unguarded() const noexcept { return unguarded_.load(std::memory_order_relaxed); }

  private:
    friend struct DebuggerLayout;
    static constexpr std::size_t kSlotsPerChunk = 256;
    static constexpr std::size_t kChunksMax = limits::kFibersMax / kSlotsPerChunk;
    static constexpr std::size_t kColours = 8;
    static constexpr std::size_t kColourBytes = 192;
    static constexpr std::size_t kFiberBytes = (sizeof(Fiber) + 63) / 64 * 64;

    char* slot_at(std::size_t index) const noexcept;
    Fiber* fiber_at(std::size_t index) const noexcept;
    Fiber* carve() SLUICE_REQUIRES(mutex_);
    void add_chunk() SLUICE_REQUIRES(mutex_);
    bool install_guard(char* lower) noexcept SLUICE_REQUIRES(mutex_);

    Runtime* const runtime_;
    const std::size_t slot_bytes_;
    Mutex mutex_;
    bool guard_by_madvise_ SLUICE_GUARDED_BY(mutex_) = true;  // false once the kernel has refused
    FiberList depot_ SLUICE_GUARDED_BY(mutex_);
    // Written under mutex_ in the order chunk, then carved_ (release); readers load carved_ first.
    std::unique_ptr<std::atomic<char*>[]> chunks_;
    std::atomic<std::size_t> carved_{0};
    std::atomic<std::size_t> unguarded_{0};
};

}  // namespace sluice::rt
