// A worker's free lists of I/O buffers by size class, so that an idle connection holds none.
//
// A connection borrows a chunk when its turn begins and gives it back when the chunk is empty, at
// the latest when it goes idle: then the number of chunks in use follows the number of connections
// that are being served, not that are open. Chunks come back in LIFO order, still warm in the
// cache.
//
// Each io::Poller has one pool (poller.buffers()). Borrowing and returning are allowed on any
// thread (a fiber may have moved since it borrowed); neither suspends. The first worker that
// borrows becomes the pool's owner: it works on its own lists without a lock. Others give back to a
// list under a lock, which the owner takes over when its own is empty. Of each size class the
// owner keeps at most limits::kChunkClasses[].kept free chunks, the list of returned ones a quarter
// of that; the rest goes back to the allocator. The pool must outlive its buffers; its destructor
// asserts it. With a MemoryLimit in its runtime the pool obeys it, by trim(). Contents of a
// borrowed chunk are undefined. Cost of borrowing and giving back: 10 ns for the owner and 12 ns
// for others (io_bench); a miss is one allocation.
//
//   Buffer buffer = io::borrow(ChunkSize::kSmall);
//   const ssize_t n = io::receive(fd, buffer.span());
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/limits.h"
#include "base/memory_limit.h"
#include "base/spin_lock.h"

namespace sluice::rt {
class Worker;
}

namespace sluice::io {

// In the order of limits::kChunkClasses.
enum class ChunkSize : std::uint8_t {
    kTiny,   // 4 KiB
    kSmall,  // limits::kChunkSmallBytes
    kLarge,  // limits::kChunkLargeBytes
    kHuge,   // limits::kChunkHugeBytes
};
inline constexpr std::array kChunkSizes{ChunkSize::kTiny, ChunkSize::kSmall, ChunkSize::kLarge,
                                        ChunkSize::kHuge};

constexpr std::size_t chunk_bytes(ChunkSize size) noexcept {
    return limits::kChunkClasses[static_cast<std::size_t>(size)].bytes;
}
// The smallest class that holds `bytes`, which is at most limits::kChunkHugeBytes.
constexpr ChunkSize chunk_for(std::size_t bytes) noexcept {
    for (const ChunkSize size : kChunkSizes) {
        if (bytes <= chunk_bytes(size)) return size;
    }
    return ChunkSize::kHuge;
}

class BufferPool;

// A borrowed chunk; the destructor gives it back. Empty when default-constructed or moved from.
class Buffer {
  public:
    Buffer() noexcept = default;
    Buffer(Buffer&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          chunk_(std::move(other.chunk_)),
          size_(other.size_) {}
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer() { reset(); }

    explicit operator bool() const noexcept { return chunk_ != nullptr; }
    std::byte* data() const noexcept { return chunk_.get(); }
    std::size_t size() const noexcept { return chunk_ ? chunk_bytes(size_) : 0; }
    std::span<std::byte> span() const noexcept { return {data(), size()}; }
    // Gives the chunk back now.
    void reset() noexcept;

  private:
    friend class BufferPool;
    friend Buffer borrow(ChunkSize size);
    Buffer(BufferPool& pool, std::unique_ptr<std::byte[]> chunk, ChunkSize size) noexcept
        : pool_(&pool), chunk_(std::move(chunk)), size_(size) {}

    BufferPool* pool_ = nullptr;
    std::unique_ptr<std::byte[]> chunk_;
    ChunkSize size_ = ChunkSize::kSmall;
};

class BufferPool final : public MemoryLimit::Cache {
  public:
    struct Stats {
        std::uint64_t hits = 0;      // borrowed from a free list
        std::uint64_t misses = 0;    // borrowed from the allocator
        std::uint64_t borrowed = 0;  // out now
        std::uint64_t free = 0;      // kept now
        // Between 0 and 1; 1 if nothing was borrowed.
        double hit_rate() const noexcept {
            return hits + misses == 0
                       ? 1.0
                       : static_cast<double>(hits) / static_cast<double>(hits + misses);
        }
        Stats& operator+=(const Stats& other) noexcept;
    };

    BufferPool();
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    // Any thread.
    Buffer borrow(ChunkSize size);
    // Frees what is kept; for a worker that has been idle for long. The owner's own lists are freed
    // by the owner only: at once if it calls, else when it borrows or gives back next.
    void trim();
    void shrink() noexcept override { trim(); }
    // Of one class, and of all. Any thread; exact when nobody borrows or returns meanwhile.
    Stats stats(ChunkSize size) const;
    Stats stats() const;

  private:
    friend class Buffer;
    friend Buffer borrow(ChunkSize size);
    using Chunk = std::unique_ptr<std::byte[]>;
    // Of one class. Written by the owner, or under lock_; the counters are read by any.
    struct FreeList {
        ~FreeList() { clear(); }
        std::unique_ptr<std::byte*[]> chunks;  // those below `free` are owned
        std::size_t free_max = 0;
        std::atomic<std::uint64_t> hits{0}, misses{0}, returns{0}, free{0};

        std::byte* take() noexcept;
        void put(Chunk chunk) noexcept;
        void clear() noexcept;
        void add_to(Stats& stats, std::uint64_t& all_returns) const noexcept;
    };
    using Lists = std::array<FreeList, limits::kChunkClasses.size()>;

    bool owned_by(const rt::Worker* worker) noexcept;
    Buffer borrow_own(ChunkSize size);
    Buffer borrow_own_slowly(ChunkSize size);
    void refill_own(std::size_t index) noexcept;
    void give_back(Chunk chunk, ChunkSize size) noexcept;
    void give_back_slowly(Chunk chunk, ChunkSize size) noexcept;
    void free_own() noexcept;

    std::atomic<const rt::Worker*> owner_{nullptr};
    std::atomic<bool> trim_asked_{false};
    MemoryLimit* memory_ = nullptr;  // the owner's; written once, when there is an owner
    Lists own_;                      // the owner's
    mutable SpinLock lock_;
    Lists returned_;  // guarded by lock_, but for reads of its counters
};

inline void Buffer::reset() noexcept {
    if (!chunk_) return;
    std::exchange(pool_, nullptr)->give_back(std::move(chunk_), size_);
}

// From the pool of the calling worker's poller: the fastest way. From a fiber or a callback on the
// scheduler's stack.
Buffer borrow(ChunkSize size);

}  // namespace sluice::io
