// An immutable run of bytes with a reference count: written once, then shared by many readers on
// any thread, such as one encoded watch event that goes to ten thousand connections.
//
//   SharedBytes event = SharedBytes::copy_of(encoded);
//   queue.push_back(event);                  // one atomic increment, no copy of the bytes
//   std::string_view bytes = event.view();
//
// One allocation holds the count and the bytes (16 bytes of header). Copying is an atomic
// increment, destruction an atomic decrement; the last one frees. It neither blocks nor suspends.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/memory_budget.h"

namespace sluice {

class SharedBytes {
  public:
    SharedBytes() noexcept = default;
    SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
        // Relaxed: the copier holds a reference already, so the block cannot vanish meanwhile.
        if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
    }
    SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    SharedBytes& operator=(SharedBytes other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~SharedBytes() {
        // Acquire-release: pairs with every other holder's decrement, so that the bytes are no
        // longer being read when they are freed.
        if (block_ && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            if (block_->budget) block_->budget->give_back(block_->size);
            block_->~Block();
            ::operator delete(block_);
        }
    }

    // A buffer of `size` bytes that `fill(char*)` writes before anybody else sees it. With a
    // budget, which must outlive it, it is counted there until it is freed.
    template <class Fill>
    static SharedBytes make(std::size_t size, Fill&& fill, MemoryBudget* budget = nullptr) {
        SLUICE_ASSERT(size <= UINT32_MAX);
        if (budget) budget->add(size);
        auto* block = new (::operator new(sizeof(Block) + size))
            Block{1, static_cast<std::uint32_t>(size), budget};
        fill(block->bytes());
        return SharedBytes(block);
    }
    static SharedBytes copy_of(std::string_view bytes) {
        return make(bytes.size(), [&](char* out) { std::memcpy(out, bytes.data(), bytes.size()); });
    }

    std::string_view view() const noexcept {
        return block_ ? std::string_view(block_->bytes(), block_->size) : std::string_view();
    }
    std::size_t size() const noexcept { return block_ ? block_->size : 0; }
    explicit operator bool() const noexcept { return block_ != nullptr; }

  private:
    struct Block {
        std::atomic<std::uint32_t> references;
        std::uint32_t size;
        MemoryBudget* budget;
        char* bytes() { return reinterpret_cast<char*>(this + 1); }
    };

    explicit SharedBytes(Block* block) noexcept : block_(block) {}

    Block* block_ = nullptr;
};

}  // namespace sluice
