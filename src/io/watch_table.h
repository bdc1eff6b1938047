// WatchTable: which Watch a kernel event belongs to, or that it is stale. Internal to the pollers.
//
// The kernel is given a token, never a pointer: a slot's index and the slot's generation, which
// goes up each time the slot is given up. An event whose generation is not the slot's is stale and
// dropped.
//
//      free --insert--> live --erase--> free, generation + 1
//
// dispatch() belongs to who has the turn: the worker, or another thread while the worker is stuck.
// insert() and erase() may be called on any thread. erase() returns only when the Watch's callback
// is not running (unless that is who calls).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "base/spin_lock.h"
#include "io/readiness.h"

namespace sluice::io {

class WatchTable {
  public:
    using Token = std::uint64_t;

    // What the poller needs to arm a registration.
    struct Registration {
        int fd;
        std::uint32_t interest;
    };

    WatchTable() = default;
    ~WatchTable();
    WatchTable(const WatchTable&) = delete;
    WatchTable& operator=(const WatchTable&) = delete;

    // The right to dispatch, and with it to use what the poller needs for that. The worker waits
    // for it (others have it for one round of callbacks at most); others only try.
    class Turn {
      public:
        explicit Turn(WatchTable& table) noexcept;
        Turn(WatchTable& table, std::try_to_lock_t) noexcept;
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn();
        explicit operator bool() const noexcept { return table_ != nullptr; }

      private:
        WatchTable* table_;
    };

    // Makes the calling thread the worker, for on_worker().
    void bind_worker() noexcept;
    bool on_worker() const noexcept;

    // kResourceExhausted at limits::kWatchesPerPollerMax.
    Result<Token> insert(Watch& watch, Poller& poller, std::uint32_t interest);
    Token token_of(const Watch& watch) const noexcept;
    void erase(Watch& watch) noexcept;

    // With the turn. Runs the callback; false if the token is stale.
    bool dispatch(Token token, std::uint32_t events);
    // Of a token that is still live.
    bool find(Token token, Registration& out) const noexcept;

    std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  private:
    struct Slot {
        Watch* watch = nullptr;
        std::uint32_t generation = 1;
        std::uint32_t next_free = 0;
    };
    static_assert(sizeof(Slot) == 16);
    static constexpr std::uint32_t kNoSlot = UINT32_MAX;
    // Then it starts again at 1: a token neither has the highest bit nor is below 2^32.
    static constexpr std::uint32_t kGenerationMax = INT32_MAX;

    bool try_begin_turn() noexcept;
    Watch* live(Token token) const noexcept SLUICE_REQUIRES(lock_);

    mutable SpinLock lock_;
    std::vector<Slot> slots_ SLUICE_GUARDED_BY(lock_);
    std::uint32_t first_free_ SLUICE_GUARDED_BY(lock_) = kNoSlot;
    std::atomic<std::size_t> size_{0};
    // The Watch whose callback runs. Set under the lock; cleared with release, which pairs with the
    // acquire in erase().
    std::atomic<Watch*> running_{nullptr};
    std::atomic<std::uintptr_t> worker_thread_{0};
    std::atomic<bool> turn_taken_{false};         // acquire and release, as a lock
    std::atomic<std::uintptr_t> turn_thread_{0};  // who has the turn; 0: nobody
};

}  // namespace sluice::io
