#include "io/buffer_pool.h"

#include <algorithm>

#include "base/check.h"
#include "io/readiness.h"
#include "rt/current_worker.h"
#include "rt/scheduler.h"
#include "rt/worker.h"

namespace sluice::io {
namespace {

constexpr std::size_t index_of(ChunkSize size) {
    return static_cast<std::size_t>(size);
}

// One writer at a time: no read-modify-write needed.
void add(std::atomic<std::uint64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
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

BufferPool::Stats& BufferPool::Stats::operator+=(const Stats& other) noexcept {
    hits += other.hits;
    misses += other.misses;
    borrowed += other.borrowed;
    free += other.free;
    return *this;
}

// nullptr if the list is empty.
inline std::byte* BufferPool::FreeList::take() noexcept {
    const std::uint64_t kept = free.load(std::memory_order_relaxed);
    if (kept == 0) {
        add(misses);
        return nullptr;
    }
    add(hits);
    free.store(kept - 1, std::memory_order_relaxed);
    return chunks[kept - 1];
}

// Frees the chunk if the list is full.
inline void BufferPool::FreeList::put(Chunk chunk) noexcept {
    add(returns);
    const std::uint64_t kept = free.load(std::memory_order_relaxed);
    if (kept >= free_max) return;
    chunks[kept] = chunk.release();
    free.store(kept + 1, std::memory_order_relaxed);
}

void BufferPool::FreeList::clear() noexcept {
    for (std::uint64_t i = free.load(std::memory_order_relaxed); i > 0; --i)
        Chunk{chunks[i - 1]}.reset();
    free.store(0, std::memory_order_relaxed);
}

void BufferPool::FreeList::add_to(Stats& stats, std::uint64_t& all_returns) const noexcept {
    stats.hits += hits.load(std::memory_order_relaxed);
    stats.misses += misses.load(std::memory_order_relaxed);
    stats.free += free.load(std::memory_order_relaxed);
    all_returns += returns.load(std::memory_order_relaxed);
}

BufferPool::BufferPool() {
    SpinGuard guard(lock_);
    for (std::size_t i = 0; i < own_.size(); ++i) {
        own_[i].free_max = limits::kChunkClasses[i].kept;
        own_[i].chunks = std::make_unique<std::byte*[]>(own_[i].free_max);
        returned_[i].free_max = own_[i].free_max / 4;
        returned_[i].chunks = std::make_unique<std::byte*[]>(returned_[i].free_max);
    }
}

BufferPool::~BufferPool() {
    SLUICE_CHECK(stats().borrowed == 0);
    if (memory_ != nullptr) memory_->remove(*this);
}

// The first worker that asks becomes the owner. A worker's thread runs one fiber at a time and none
// is interrupted between two suspensions, so the owner needs no lock.
bool BufferPool::owned_by(const rt::Worker* worker) noexcept {
    const rt::Worker* owner = owner_.load(std::memory_order_relaxed);
    if (owner == worker) return worker != nullptr;
    if (owner != nullptr || worker == nullptr) return false;
    if (!owner_.compare_exchange_strong(owner, worker, std::memory_order_relaxed)) return false;
    memory_ = const_cast<rt::Worker*>(worker)->scheduler().memory();
    if (memory_ != nullptr) memory_->add(*this);
    return true;
}

Buffer borrow(ChunkSize size) {
    rt::Worker* const worker = rt::current_worker();
    SLUICE_CHECK(worker != nullptr);
    void* const poller = worker->processor().poller->upper();
    SLUICE_CHECK(poller != nullptr);
    BufferPool& pool = static_cast<Poller*>(poller)->buffers();
    if (pool.owner_.load(std::memory_order_relaxed) != worker) [[unlikely]]
        return pool.borrow(size);
    return pool.borrow_own(size);
}

[[gnu::noinline]] Buffer BufferPool::borrow(ChunkSize size) {
    if (owned_by(rt::current_worker())) return borrow_own(size);
    Chunk chunk;
    {
        SpinGuard guard(lock_);
        chunk.reset(returned_[index_of(size)].take());
    }
    if (!chunk) chunk = std::make_unique_for_overwrite<std::byte[]>(chunk_bytes(size));
    return Buffer(*this, std::move(chunk), size);
}

inline Buffer BufferPool::borrow_own(ChunkSize size) {
    FreeList& own = own_[index_of(size)];
    if (own.free.load(std::memory_order_relaxed) == 0 ||
        trim_asked_.load(std::memory_order_relaxed)) [[unlikely]] {
        return borrow_own_slowly(size);
    }
    return Buffer(*this, Chunk(own.take()), size);
}

[[gnu::noinline]] Buffer BufferPool::borrow_own_slowly(ChunkSize size) {
    const std::size_t index = index_of(size);
    if (trim_asked_.load(std::memory_order_relaxed)) free_own();
    refill_own(index);
    Chunk chunk(own_[index].take());
    if (!chunk) chunk = std::make_unique_for_overwrite<std::byte[]>(chunk_bytes(size));
    return Buffer(*this, std::move(chunk), size);
}

// What others have given back, if there is none of the owner's.
void BufferPool::refill_own(std::size_t index) noexcept {
    FreeList& own = own_[index];
    FreeList& returned = returned_[index];
    if (own.free.load(std::memory_order_relaxed) > 0) return;
    if (returned.free.load(std::memory_order_relaxed) == 0) return;
    SpinGuard guard(lock_);
    const std::uint64_t count = returned.free.load(std::memory_order_relaxed);
    std::copy_n(returned.chunks.get(), count, own.chunks.get());
    own.free.store(count, std::memory_order_relaxed);
    returned.free.store(0, std::memory_order_relaxed);
}

void BufferPool::give_back(Chunk chunk, ChunkSize size) noexcept {
    const rt::Worker* const worker = rt::current_worker();
    FreeList& own = own_[index_of(size)];
    if (worker == nullptr || owner_.load(std::memory_order_relaxed) != worker ||
        trim_asked_.load(std::memory_order_relaxed)) [[unlikely]] {
        return give_back_slowly(std::move(chunk), size);
    }
    own.put(std::move(chunk));
}

[[gnu::noinline]] void BufferPool::give_back_slowly(Chunk chunk, ChunkSize size) noexcept {
    const std::size_t index = index_of(size);
    if (owned_by(rt::current_worker())) {
        free_own();
        return own_[index].put(std::move(chunk));
    }
    SpinGuard guard(lock_);
    returned_[index].put(std::move(chunk));
}

void BufferPool::free_own() noexcept {
    trim_asked_.store(false, std::memory_order_relaxed);
    for (FreeList& list : own_) list.clear();
}

void BufferPool::trim() {
    trim_asked_.store(true, std::memory_order_relaxed);
    if (owned_by(rt::current_worker())) free_own();
    for (FreeList& list : returned_) {
        FreeList freed;
        freed.chunks = std::make_unique<std::byte*[]>(list.free_max);
        SpinGuard guard(lock_);
        freed.chunks.swap(list.chunks);
        freed.free.store(list.free.exchange(0, std::memory_order_relaxed),
                         std::memory_order_relaxed);
    }
}

BufferPool::Stats BufferPool::stats(ChunkSize size) const {
    Stats stats;
    std::uint64_t returns = 0;
    own_[index_of(size)].add_to(stats, returns);
    {
        SpinGuard guard(lock_);
        returned_[index_of(size)].add_to(stats, returns);
    }
    stats.borrowed = stats.hits + stats.misses - returns;
    return stats;
}

BufferPool::Stats BufferPool::stats() const {
    Stats sum;
    for (const ChunkSize size : kChunkSizes) sum += stats(size);
    return sum;
}

}  // namespace sluice::io
