// Written by one thread, read by any: no read-modify-write needed.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::rt {

class Counter {
  public:
    void add(std::uint64_t n) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_release);
    }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_acquire); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace sluice::rt
