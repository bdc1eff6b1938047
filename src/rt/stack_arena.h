// StackArena: stacks of one size of one runtime's fibers, in slots, each with its Fiber object.
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
// A free slot is warm, surplus, or cold:
//
//     carved --> in use --> warm       up to warm_max, last in first out; memory kept
//                   ^  '--> surplus    what is more; memory kept for a while
//                   |          |  tend(): not needed for limits::kStackSurplusNs
//                   '------- cold      memory back with the kernel, Fiber object and all
//
// Workers keep a small cache of free slots in front of it (rt/stack_cache.h). Memory goes back in
// batches off the hot path: slots that are neighbours by one range, all ranges of a batch by one
// system call (process_madvise, from Linux 6.15 on; else one call a range). A cold slot reads as
// zeros, which is a Fiber in the state kFree; guards stay.
//
// How deep stacks went is read from which pages are resident (mincore), before memory goes back and
// when somebody asks: a free slot keeps the pages of the deepest fiber that used it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "rt/fiber.h"
#include "rt/park.h"

namespace sluice::rt {

class StackArena {
  public:
    StackArena(Runtime* runtime, StackClass size_class, std::size_t slot_bytes, unsigned warm_max);
    StackArena(const StackArena&) = delete;
    StackArena& operator=(const StackArena&) = delete;
    // Every slot must have been given back.
    ~StackArena();

    // Moves `count` free fibers to `out`. Any thread. May map memory.
    void take(FiberList& out, std::size_t count);
    // Any thread. If nobody tends the arena, a surplus goes to the kernel here, in batches.
    void give_back(FiberList&& fibers);

    // Somebody promises to call tend() often from now on, or no more.
    void set_tended(bool tended) noexcept { tended_.store(tended, std::memory_order_relaxed); }
    // Gives memory back that has been surplus for limits::kStackSurplusNs, at most
    // limits::kStackReturnSlots slots. One thread at a time. True: there is surplus still.
    bool tend(TimeNs now_ns);
    // Makes every free slot cold. Any thread.
    void shrink();

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

    // How much of the slot was used since its memory was last fresh: down to the lowest touched
    // page, the Fiber object included. Any thread; 1 us.
    std::size_t touched_bytes(const Fiber& fiber);
    // The same for all of at most limits::kStackLookSlots slots, from where the last call ended.
    // Any thread; 5 us for 256 slots.
    void look();
    // By a slot's owner: what fibers before touched is forgotten.
    void refresh(Fiber& fiber);

    struct Figures {
        std::size_t slots = 0;             // ever carved
        std::size_t kept = 0;              // free, their memory kept here (not in workers' caches)
        std::size_t cold = 0;              // free, without memory
        std::size_t unguarded = 0;         // no guard page: the kernel had none left
        std::size_t high_water_bytes = 0;  // deepest use seen
        std::uint64_t returned = 0;        // slots whose memory went back
        std::uint64_t return_calls = 0;    // system calls that took
    };
    Figures figures() const;

    std::size_t carved() const noexcept { return carved_.load(std::memory_order_acquire); }
    std::size_t unguarded() const noexcept { return unguarded_.load(std::memory_order_relaxed); }
    std::size_t slot_bytes() const noexcept { return slot_bytes_; }
    StackClass size_class() const noexcept { return size_class_; }

  private:
    friend struct DebuggerLayout;
    static constexpr std::size_t kSlotsPerChunk = 256;
    static constexpr std::size_t kChunksMax = limits::kFibersMax / kSlotsPerChunk;
    static constexpr std::size_t kColours = 8;
    static constexpr std::size_t kColourBytes = 192;
    static constexpr std::size_t kFiberBytes = (sizeof(Fiber) + 63) / 64 * 64;
    struct Run {  // of neighbouring slots in one chunk
        std::size_t first;
        std::size_t count;
    };
    struct Unmap {
        void operator()(std::atomic<char*>* chunks) const noexcept;
    };

    char* slot_at(std::size_t index) const noexcept;
    Fiber* fiber_at(std::size_t index) const noexcept;
    Fiber* carve() SLUICE_REQUIRES(mutex_);
    Fiber* revive() SLUICE_REQUIRES(mutex_);
    Fiber* make(std::size_t index) noexcept;
    void add_chunk() SLUICE_REQUIRES(mutex_);
    bool install_guard(char* lower) noexcept SLUICE_REQUIRES(mutex_);

    // rt/stack_return.cc
    void make_cold(FiberList&& fibers);
    void return_memory(std::span<const Run> runs);
    std::size_t measure(Run run);
    void raise_high_water(std::size_t bytes) noexcept;

    Runtime* const runtime_;
    const StackClass size_class_;
    const std::size_t slot_bytes_;
    const unsigned warm_max_;
    mutable Mutex mutex_;
    bool guard_by_madvise_ SLUICE_GUARDED_BY(mutex_) = true;  // false once the kernel has refused
    FiberList warm_ SLUICE_GUARDED_BY(mutex_);
    FiberList surplus_ SLUICE_GUARDED_BY(mutex_);
    std::vector<std::uint32_t> cold_ SLUICE_GUARDED_BY(mutex_);
    // The least surplus since window_end_ns_ was set; that many were not needed.
    std::size_t surplus_low_ SLUICE_GUARDED_BY(mutex_) = 0;
    TimeNs window_end_ns_ SLUICE_GUARDED_BY(mutex_) = 0;  // 0: no surplus at the last look
    // Written under mutex_ in the order chunk, then carved_ (release); readers load carved_ first.
    std::unique_ptr<std::atomic<char*>[], Unmap> chunks_;
    std::atomic<std::size_t> carved_{0};
    // Relaxed: figures.
    std::atomic<std::size_t> unguarded_{0};
    std::atomic<bool> tended_{false};
    std::atomic<bool> vectored_{true};  // false once the kernel has refused process_madvise
    std::atomic<std::size_t> high_water_bytes_{0};
    std::atomic<std::size_t> next_look_{0};  // a slot's index
    std::atomic<std::uint64_t> returned_{0};
    std::atomic<std::uint64_t> return_calls_{0};
};

}  // namespace sluice::rt
