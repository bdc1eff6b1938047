// A bound on memory that many requests use together, such as responses on their way to slow
// readers.
//
//   MemoryBudget budget(256 << 20);
//   MemoryBudget::Share share(budget);
//   if (!share.grow(bytes)) return fail(...);       // over the bound: refuse this one
//   SharedBytesBuilder body(&budget);               // counted until its bytes are freed
//
// Any thread; neither blocks nor suspends. Cost: one atomic addition. Exact in sum; two callers at
// the bound may both be refused.
#pragma once

#include <atomic>
#include <cstddef>

namespace sluice {

class MemoryBudget {
  public:
    explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    // Counts `bytes`, whatever the bound says: for what exists already.
    void add(std::size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
    void give_back(std::size_t bytes) noexcept {
        used_.fetch_sub(bytes, std::memory_order_relaxed);
    }
    // False, and nothing counted, if that would be over the bound.
    bool try_add(std::size_t bytes) noexcept {
        if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= bytes_max_) return true;
        give_back(bytes);
        return false;
    }
    std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

    // What one request has counted so far; given back at the end.
    class Share {
      public:
        explicit Share(MemoryBudget& budget) : budget_(budget) {}
        ~Share() { budget_.give_back(bytes_); }
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;

        bool grow(std::size_t bytes) noexcept {
            if (!budget_.try_add(bytes)) return false;
            bytes_ += bytes;
            return true;
        }

      private:
        MemoryBudget& budget_;
        std::size_t bytes_ = 0;
    };

  private:
    const std::size_t bytes_max_;
    std::atomic<std::size_t> used_{0};  // relaxed: a sum, it orders nothing
};

}  // namespace sluice
