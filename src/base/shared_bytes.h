// An immutable run of bytes with a reference count: written once, then shared by many readers on
// any thread, such as one encoded watch event that goes to ten thousand connections.
//
//   SharedBytes event = SharedBytes::copy_of(encoded);
//   queue.push_back(event);                  // one atomic increment, no copy of the bytes
//   std::string_view bytes = event.view();
//
// One allocation holds the count and the bytes (40 bytes of header). Copying is an atomic
// increment, destruction an atomic decrement; the last one frees. It neither blocks nor suspends.
//
// Bytes whose number is not known beforehand are gathered by a SharedBytesBuilder, and not copied
// at its end.
#pragma once

#include <algorithm>
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
            block_->free();
        }
    }

    // A buffer of `size` bytes that `fill(char*)` writes before anybody else sees it.
    template <class Fill>
    static SharedBytes make(std::size_t size, Fill&& fill) {
        Block* const block = Block::allocate(size);
        block->size = static_cast<std::uint32_t>(size);
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
    friend class SharedBytesBuilder;

    struct Block {
        std::atomic<std::uint32_t> references{1};
        std::uint32_t size = 0;
        MemoryBudget* budget = nullptr;
        std::size_t charged = 0;  // to the budget
        std::size_t capacity = 0;

        char* bytes() { return reinterpret_cast<char*>(this + 1); }
        static Block* allocate(std::size_t capacity) {
            SLUICE_ASSERT(capacity <= UINT32_MAX);
            auto* const block = new (::operator new(sizeof(Block) + capacity)) Block;
            block->capacity = capacity;
            return block;
        }
        void free() noexcept {
            if (budget) budget->give_back(charged);
            this->~Block();
            ::operator delete(this);
        }
    };

    explicit SharedBytes(Block* block) noexcept : block_(block) {}

    Block* block_ = nullptr;
};

// Gathers bytes at one end and becomes SharedBytes. One user at a time. With a budget, what it
// holds is counted there until the last of the bytes' readers has gone.
//
//   SharedBytesBuilder builder(&budget);
//   std::memcpy(builder.extend(n), from, n);    // amortised: each byte is moved about once
//   if (!builder.charge()) return fail(...);    // over the bound
//   SharedBytes all = builder.finish();
class SharedBytesBuilder {
  public:
    // `budget` may be null; it outlives the bytes.
    explicit SharedBytesBuilder(MemoryBudget* budget = nullptr) : budget_(budget) {}
    ~SharedBytesBuilder() {
        if (block_) block_->free();
    }
    SharedBytesBuilder(const SharedBytesBuilder&) = delete;
    SharedBytesBuilder& operator=(const SharedBytesBuilder&) = delete;

    // Room for `size` more bytes, all of which the caller writes before the next call.
    char* extend(std::size_t size) {
        if (block_ == nullptr || size > block_->capacity - size_) grow(size_ + size);
        char* const at = block_->bytes() + size_;
        size_ += size;
        return at;
    }
    std::size_t size() const noexcept { return size_; }

    // Counts what is held by now. False, and nothing more counted: the budget is used up.
    bool charge() noexcept {
        if (block_ == nullptr || budget_ == nullptr) return true;
        if (!budget_->try_add(block_->capacity - block_->charged)) return false;
        block_->charged = block_->capacity;
        return true;
    }

    // Everything so far; the builder is empty afterwards. It is counted whatever the bound says.
    SharedBytes finish() noexcept {
        if (block_ == nullptr) return {};
        if (budget_ != nullptr) {
            budget_->add(block_->capacity - block_->charged);
            block_->charged = block_->capacity;
        }
        block_->size = static_cast<std::uint32_t>(std::exchange(size_, 0));
        return SharedBytes(std::exchange(block_, nullptr));
    }

  private:
    static constexpr std::size_t kFirstBytes = 4096 - sizeof(SharedBytes::Block);

    void grow(std::size_t needed) {
        const std::size_t twice = block_ == nullptr ? kFirstBytes : 2 * block_->capacity;
        auto* const block = SharedBytes::Block::allocate(std::max(needed, twice));
        block->budget = budget_;
        if (block_ != nullptr) {
            std::memcpy(block->bytes(), block_->bytes(), size_);
            block->charged = std::exchange(block_->charged, 0);
            block_->free();
        }
        block_ = block;
    }

    MemoryBudget* const budget_;
    SharedBytes::Block* block_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sluice
