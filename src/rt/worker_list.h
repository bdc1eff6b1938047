// WorkerList: the workers of a scheduler. It only grows, so it is read without a lock: elements up
// to the size that a reader has seen stay where they are until the scheduler goes.
//
// The first ones are made with the scheduler; spare workers come later (rt/monitor.h).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

#include "base/check.h"
#include "base/limits.h"
#include "rt/worker.h"

namespace sluice::rt {

class WorkerList {
  public:
    using Slot = std::unique_ptr<Worker>;

    // One thread at a time.
    void add(Slot worker) {
        const std::size_t count = size();
        SLUICE_CHECK(count < slots_.size() && worker->index() == count);
        slots_[count] = std::move(worker);
        count_.store(count + 1, std::memory_order_release);  // with the acquire in size()
    }

    // Any thread.
    std::size_t size() const noexcept { return count_.load(std::memory_order_acquire); }
    const Slot& operator[](std::size_t index) const {
        SLUICE_ASSERT(index < size());
        return slots_[index];
    }
    const Slot* begin() const noexcept { return slots_.data(); }
    const Slot* end() const noexcept { return slots_.data() + size(); }

  private:
    std::array<Slot, limits::kWorkersMax + limits::kSpareWorkersMax> slots_;
    std::atomic<std::size_t> count_{0};
};

}  // namespace sluice::rt
