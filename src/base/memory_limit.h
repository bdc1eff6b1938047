// MemoryLimit: how much memory the process should use at most, and who keeps memory free for later
// and gives it back when there is too much: pools, stacks, the allocator.
//
//   MemoryLimit memory(1u << 30);
//   rt::Runtime runtime({.memory = &memory});   // its monitor looks ten times a second
//
// Caches (sync::ObjectPool, io::BufferPool, the runtime's stacks) add themselves. They are asked to
// shrink
//
//   over the limit   again and again, with growing pauses while that does not help
//   after a burst    when the process has become quiet, and uses clearly more than it did after it
//                    shrank last
//
// What a cache keeps for one worker that worker gives back itself, at the latest before it sleeps
// next (the runtime wakes it for that): its thread calls shrink_here(). The limit is a soft one:
// memory that is in use is bounded elsewhere (base/memory_budget.h, base/limits.h), and nothing is
// refused or killed here. Works without a limit (0) too, for the bursts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/mutex.h"

namespace sluice {

// The process's resident memory in bytes, from /proc/self/statm; 0 if that cannot be read.
std::size_t resident_bytes() noexcept;

class MemoryLimit {
  public:
    class Cache {
      public:
        // Frees what is kept for later, at once what this thread may free, and sees to it that the
        // rest is freed when its owners come by. Any thread, one at a time or several. Must not
        // suspend, nor add or remove a Cache.
        virtual void shrink() noexcept = 0;

      protected:
        Cache() = default;
        ~Cache() = default;
        Cache(const Cache&) = delete;
        Cache& operator=(const Cache&) = delete;

      private:
        friend class MemoryLimit;
        Cache* next_ = nullptr;
        Cache** link_ = nullptr;  // what points here; nullptr: not added
    };

    // bytes_max: 0 for no limit. `resident` is for tests.
    explicit MemoryLimit(std::size_t bytes_max,
                         std::function<std::size_t()> resident = &resident_bytes);
    // All caches must have been removed.
    ~MemoryLimit();
    MemoryLimit(const MemoryLimit&) = delete;
    MemoryLimit& operator=(const MemoryLimit&) = delete;

    // Any thread. After remove() shrink() is not running and will not run again.
    void add(Cache& cache);
    void remove(Cache& cache);

    // Now and then, by one thread: is it too much? `quiet`: nothing runs now. True: has asked the
    // caches to shrink, and the allocator; the workers shall call shrink_here().
    bool look(TimeNs now_ns, bool quiet);
    // A shrink is not complete: allocators keep what was freed for a while, so look() asks once
    // more limits::kMemoryAgainNs later. By the thread that looks.
    bool unfinished() const noexcept { return again_ns_ != 0; }
    // Changes whenever the caches are asked to shrink.
    std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
    // What only the calling thread may free: of every cache, and of the allocator. About 1 ms.
    void shrink_here() noexcept;

    // Any thread.
    std::size_t bytes_max() const noexcept { return bytes_max_; }
    std::uint64_t shrinks() const noexcept { return epoch(); }

  private:
    void shrink_all();

    const std::size_t bytes_max_;
    const std::function<std::size_t()> resident_;
    Mutex mutex_;
    Cache* caches_ SLUICE_GUARDED_BY(mutex_) = nullptr;
    std::atomic<std::uint32_t> epoch_{0};
    // Of the one thread that looks.
    std::size_t low_bytes_ = 0;  // the least use since the caches shrank last; 0: not known yet
    TimeNs pause_ns_ = 0;
    TimeNs next_ns_ = 0;
    TimeNs again_ns_ = 0;  // 0: not
};

}  // namespace sluice
