// ArrivalStack: items that any thread pushes without a lock and one consumer at a time takes, all
// at once and in the order of their arrival. A pusher that loses its CPU in the middle holds up
// nobody. (A Treiber stack whose consumer only exchanges the head: no ABA.)
//
// Sequentially consistent, because parking workers look at it: see Scheduler. Kept alive by whoever
// owns the items; `kNext` is their link.
#pragma once

#include <atomic>
#include <utility>

#include "base/check.h"

namespace sluice::rt {

template <class T, T* T::* kNext>
class ArrivalStack {
  public:
    ~ArrivalStack() { SLUICE_CHECK(empty()); }

    bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

    // Any thread.
    void push(T* item) noexcept {
        SLUICE_ASSERT(item->*kNext == nullptr);
        T* head = head_.load(std::memory_order_relaxed);
        do {
            item->*kNext = head;
        } while (!head_.compare_exchange_weak(head, item, std::memory_order_seq_cst,
                                              std::memory_order_relaxed));
    }

    // The consumer: the oldest, which links to the next one; nullptr when there is none.
    T* take_all() noexcept {
        if (empty()) return nullptr;
        T* item = head_.exchange(nullptr, std::memory_order_acquire);
        T* oldest_first = nullptr;
        while (item != nullptr) {
            T* const older = std::exchange(item->*kNext, oldest_first);
            oldest_first = item;
            item = older;
        }
        return oldest_first;
    }

  private:
    std::atomic<T*> head_{nullptr};
};

}  // namespace sluice::rt
