#include "io/buffer_pool.h"

#include "base/check.h"

namespace sluice::io {
namespace {

constexpr std::size_t index_of(ChunkSize size) {
    return static_cast<std::size_t>(size);
}

constexpr std::size_t bytes_of(ChunkSize size) {
    return size == ChunkSize::kSmall ? limits::kChunkSmallBytes : limits::kChunkLargeBytes;
}

constexpr std::size_t kept_max(ChunkSize size) {
    return size == ChunkSize::kSmall ? limits::kPooledSmallChunks : limits::kPooledLargeChunks;
}

}  // namespace

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    reset();
    pool_ = std::exchange(other.pool_, nullptr);
    chunk_ = std::move(other.chunk_);
    size_ = other.size_;
    return *this;
}

std::size_t Buffer::size() const noexcept {
    return chunk_ ? bytes_of(size_) : 0;
}

void Buffer::reset() noexcept {
    if (!chunk_) return;
    SLUICE_ASSERT(pool_ != nullptr);
    std::exchange(pool_, nullptr)->give_back(std::move(chunk_), size_);
}

// The lists get their full capacity now, so that nothing allocates under the lock.
BufferPool::BufferPool() {
    SpinGuard guard(lock_);
    for (const auto size : {ChunkSize::kSmall, ChunkSize::kLarge}) {
        lists_[index_of(size)].chunks.reserve(kept_max(size));
    }
}

BufferPool::~BufferPool() {
    SpinGuard guard(lock_);
    for (const FreeList& list : lists_) SLUICE_CHECK(list.counts.borrowed == 0);
}

Buffer BufferPool::borrow(ChunkSize size) {
    std::unique_ptr<std::byte[]> chunk;
    {
        SpinGuard guard(lock_);
        FreeList& list = lists_[index_of(size)];
        ++list.counts.borrowed;
        if (list.chunks.empty()) {
            ++list.counts.misses;
        } else {
            ++list.counts.hits;
            chunk = std::move(list.chunks.back());
            list.chunks.pop_back();
        }
    }
    if (!chunk) chunk = std::make_unique_for_overwrite<std::byte[]>(bytes_of(size));
    return Buffer(*this, std::move(chunk), size);
}

void BufferPool::give_back(std::unique_ptr<std::byte[]> chunk, ChunkSize size) noexcept {
    SpinGuard guard(lock_);
    FreeList& list = lists_[index_of(size)];
    SLUICE_CHECK(list.counts.borrowed > 0);
    --list.counts.borrowed;
    if (list.chunks.size() < kept_max(size)) list.chunks.push_back(std::move(chunk));
}

void BufferPool::trim() {
    for (const auto size : {ChunkSize::kSmall, ChunkSize::kLarge}) {
        std::vector<std::unique_ptr<std::byte[]>> freed;
        std::vector<std::unique_ptr<std::byte[]>> fresh;
        fresh.reserve(kept_max(size));
        SpinGuard guard(lock_);
        freed = std::exchange(lists_[index_of(size)].chunks, std::move(fresh));
    }
}

BufferPool::Stats BufferPool::stats(ChunkSize size) const {
    SpinGuard guard(lock_);
    const FreeList& list = lists_[index_of(size)];
    Stats stats = list.counts;
    stats.free = list.chunks.size();
    return stats;
}

}  // namespace sluice::io
