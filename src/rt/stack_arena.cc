#include "rt/stack_arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // Linux 6.13; Debian 12's headers are older
#endif

namespace sluice::rt {
namespace {
constexpr std::size_t kPageBytes = 4096;

// The top pages of slots a power of two apart would share a few sets of the TLB, and with a
// thousand fibers each switch would walk the page tables. An odd stride uses all sets.
constexpr std::size_t odd_pages(std::size_t bytes) noexcept {
    return bytes / kPageBytes % 2 == 0 ? bytes + kPageBytes : bytes;
}
}  // namespace

StackArena::StackArena(Runtime* runtime, StackClass size_class, std::size_t slot_bytes,
                       unsigned warm_max)
    : runtime_(runtime),
      size_class_(size_class),
      slot_bytes_(odd_pages(slot_bytes)),
      warm_max_(warm_max) {
    SLUICE_CHECK(slot_bytes >= limits::kFiberStackBytesMin);
    SLUICE_CHECK(slot_bytes % kPageBytes == 0);
    // Mapped, so that the part which is not used costs no memory. Zeros are null pointers.
    void* const table = mmap(nullptr, kChunksMax * sizeof chunks_[0], PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SLUICE_CHECK(table != MAP_FAILED);
    chunks_.reset(static_cast<std::atomic<char*>*>(table));
}

void StackArena::Unmap::operator()(std::atomic<char*>* chunks) const noexcept {
    munmap(chunks, kChunksMax * sizeof *chunks);
}

StackArena::~StackArena() {
    const MutexLock lock(mutex_);
    const std::size_t count = carved();
    SLUICE_CHECK(warm_.size() + surplus_.size() + cold_.size() == count);
    warm_.append(std::move(surplus_));
    while (Fiber* fiber = warm_.pop_front()) {
        SLUICE_CHECK(fiber->state() == FiberState::kFree);
        fiber->context_.discard();
    }
    for (std::size_t chunk = 0; chunk * kSlotsPerChunk < count; ++chunk) {
        munmap(chunks_[chunk].load(std::memory_order_relaxed), kSlotsPerChunk * slot_bytes_);
    }
}

void StackArena::take(FiberList& out, std::size_t count) {
    const MutexLock lock(mutex_);
    for (; count > 0; --count) {
        Fiber* fiber = surplus_.pop_front();
        if (fiber == nullptr) fiber = warm_.pop_front();
        if (fiber == nullptr) fiber = cold_.empty() ? carve() : revive();
        out.push_back(fiber);
    }
    surplus_low_ = std::min(surplus_low_, surplus_.size());
}

void StackArena::give_back(FiberList&& fibers) {
    FiberList too_many;
    {
        const MutexLock lock(mutex_);
        while (Fiber* fiber = fibers.pop_front()) {
            SLUICE_ASSERT(fiber->state() == FiberState::kFree);
            SLUICE_ASSERT(fiber->stack_class_ == size_class_);
            (warm_.size() < warm_max_ ? warm_ : surplus_).push_front(fiber);
        }
        if (tended_.load(std::memory_order_relaxed)) return;
        if (surplus_.size() < limits::kStackReturnBatch) return;
        too_many.append(std::move(surplus_));
        surplus_low_ = 0;
    }
    make_cold(std::move(too_many));
}

StackArena::Bounds StackArena::bounds(const Fiber* fiber) const noexcept {
    // A slot is aligned to the page only, so its lower end is found through the fiber's index.
    char* const lower = slot_at(fiber->slot_index_);
    SLUICE_ASSERT(reinterpret_cast<const char*>(fiber) > lower);
    SLUICE_ASSERT(reinterpret_cast<const char*>(fiber) < lower + slot_bytes_);
    return {lower + kPageBytes, reinterpret_cast<char*>(const_cast<Fiber*>(fiber))};
}

const Fiber* StackArena::overflowed_into(const void* address) const noexcept {
    const std::size_t count = carved();
    const auto* const byte = static_cast<const char*>(address);
    for (std::size_t chunk = 0; chunk * kSlotsPerChunk < count; ++chunk) {
        const char* const lower = chunks_[chunk].load(std::memory_order_relaxed);
        if (byte < lower || byte >= lower + kSlotsPerChunk * slot_bytes_) continue;
        const auto offset = static_cast<std::size_t>(byte - lower);
        const std::size_t index = chunk * kSlotsPerChunk + offset / slot_bytes_;
        if (index >= count || offset % slot_bytes_ >= kPageBytes) return nullptr;
        return fiber_at(index);
    }
    return nullptr;
}

char* StackArena::slot_at(std::size_t index) const noexcept {
    return chunks_[index / kSlotsPerChunk].load(std::memory_order_relaxed) +
           index % kSlotsPerChunk * slot_bytes_;
}

Fiber* StackArena::fiber_at(std::size_t index) const noexcept {
    char* const upper = slot_at(index) + slot_bytes_ - index % kColours * kColourBytes;
    return reinterpret_cast<Fiber*>(upper - kFiberBytes);
}

Fiber* StackArena::carve() {
    const std::size_t index = carved_.load(std::memory_order_relaxed);
    SLUICE_CHECK(index < limits::kFibersMax);
    if (index % kSlotsPerChunk == 0) add_chunk();
    if (!install_guard(slot_at(index))) unguarded_.fetch_add(1, std::memory_order_relaxed);
    Fiber* const fiber = make(index);
    carved_.store(index + 1, std::memory_order_release);
    return fiber;
}

Fiber* StackArena::revive() {
    const std::size_t index = cold_.back();
    cold_.pop_back();
    return make(index);
}

// Of zeros, which others may be reading: no constructor runs, and only what is not zero is written.
Fiber* StackArena::make(std::size_t index) noexcept {
    static_assert(static_cast<int>(FiberState::kFree) == 0);
    Fiber* const fiber = fiber_at(index);
    SLUICE_ASSERT(fiber->state() == FiberState::kFree);
    fiber->runtime_ = runtime_;
    fiber->slot_index_ = static_cast<std::uint32_t>(index);
    fiber->stack_class_ = size_class_;
    // Looked at when its first fiber ends. Not all: that costs a microsecond.
    fiber->measured_.store(index % limits::kStackMeasureEvery == 0, std::memory_order_relaxed);
    return fiber;
}

void StackArena::add_chunk() {
    const std::size_t chunk = carved_.load(std::memory_order_relaxed) / kSlotsPerChunk;
    const std::size_t bytes = kSlotsPerChunk * slot_bytes_;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SLUICE_CHECK(memory != MAP_FAILED);
    madvise(memory, bytes, MADV_NOHUGEPAGE);  // a huge page would back 16 stacks at once
    chunks_[chunk].store(static_cast<char*>(memory), std::memory_order_relaxed);
}

bool StackArena::install_guard(char* lower) noexcept {
    if (guard_by_madvise_) {
        if (madvise(lower, kPageBytes, MADV_GUARD_INSTALL) == 0) return true;
        guard_by_madvise_ = false;
    }
    return mprotect(lower, kPageBytes, PROT_NONE) == 0;
}

}  // namespace sluice::rt
