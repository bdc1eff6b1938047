// Immutable bytes with a reference count: one encoded watch event or one range response that many
// connections, or many turns of one, send without copying.
//
//   SharedBytes bytes = SharedBytes::allocate(n);
//   encode(bytes.mutable_data());              // only while nobody else has it
//   session.send_data(stream, {{DataPiece::shared(bytes)}}, false);
//
// A handle may be copied, moved and dropped on any thread; the count is atomic. The bytes are
// written before the handle is copied for the first time, and never after. Cost: one allocation of
// size + 16 bytes, one atomic add or subtract a copy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sluice::http2 {

class SharedBytes {
  public:
    SharedBytes() noexcept = default;
    SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) { add_ref(); }
    SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    SharedBytes& operator=(SharedBytes other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~SharedBytes() { drop_ref(); }

    static SharedBytes allocate(std::size_t size);
    static SharedBytes copy_of(std::span<const std::uint8_t> bytes);

    bool empty() const noexcept { return size() == 0; }
    std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->size; }
    std::span<const std::uint8_t> bytes() const noexcept { return {data(), size()}; }
    std::uint8_t* mutable_data() noexcept;  // asserts that this is the only handle

    // How many handles share the bytes; for tests and metrics.
    std::uint32_t use_count() const noexcept;

  private:
    struct Block {
        std::atomic<std::uint32_t> refs;  // add relaxed; subtract acq_rel, the last one frees
        std::size_t size;
    };

    const std::uint8_t* data() const noexcept {
        return block_ == nullptr ? nullptr : reinterpret_cast<const std::uint8_t*>(block_ + 1);
    }
    void add_ref() noexcept {
        if (block_ != nullptr) block_->refs.fetch_add(1, std::memory_order_relaxed);
    }
    void drop_ref() noexcept;

    Block* block_ = nullptr;
};

}  // namespace sluice::http2
