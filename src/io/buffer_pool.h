// A worker's free list of I/O buffers in two sizes, so that an idle connection holds none.
//
// A connection borrows a chunk when its turn begins and gives it back when the chunk is empty, at
// the latest when it goes idle: then the number of chunks in use follows the number of connections
// that are being served, not that are open. Chunks come back in LIFO order, still warm in the
// cache.
//
// Each io::Poller has one pool (poller.buffers()). Borrowing and returning are allowed on any
// thread (a fiber may have moved since it borrowed); neither suspends. At most
// limits::kPooledSmallChunks / kPooledLargeChunks free chunks are kept, the rest goes back to the
// allocator. The pool must outlive its buffers; its destructor asserts it. Cost: about 10 ns for a
// hit; a miss is one allocation. Contents of a borrowed chunk are undefined.
//
//   Buffer buffer = io::current_poller().buffers().borrow(ChunkSize::kSmall);
//   const ssize_t n = io::receive(fd, buffer.span());
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/spin_lock.h"

namespace sluice::io {

enum class ChunkSize : std::uint8_t {
    kSmall,  // limits::kChunkSmallBytes
    kLarge,  // limits::kChunkLargeBytes
};

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
    std::size_t size() const noexcept;
    std::span<std::byte> span() const noexcept { return {data(), size()}; }
    // Gives the chunk back now.
    void reset() noexcept;

  private:
    friend class BufferPool;
    Buffer(BufferPool& pool, std::unique_ptr<std::byte[]> chunk, ChunkSize size) noexcept
        : pool_(&pool), chunk_(std::move(chunk)), size_(size) {}

    BufferPool* pool_ = nullptr;
    std::unique_ptr<std::byte[]> chunk_;
    ChunkSize size_ = ChunkSize::kSmall;
};

class BufferPool {
  public:
    struct Stats {
        std::uint64_t hits = 0;      // borrowed from the free list
        std::uint64_t misses = 0;    // borrowed from the allocator
        std::uint64_t borrowed = 0;  // out now
        std::uint64_t free = 0;      // kept now
    };

    BufferPool();
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    Buffer borrow(ChunkSize size);
    // Frees what is kept; for a worker that has been idle for long.
    void trim();
    Stats stats(ChunkSize size) const;

  private:
    friend class Buffer;
    struct FreeList {
        std::vector<std::unique_ptr<std::byte[]>> chunks;
        Stats counts;
    };

    void give_back(std::unique_ptr<std::byte[]> chunk, ChunkSize size) noexcept;

    mutable SpinLock lock_;
    std::array<FreeList, 2> lists_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::io
