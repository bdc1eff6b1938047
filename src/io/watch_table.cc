#include "io/watch_table.h"

#include <pthread.h>
#include <sched.h>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::io {

Watch::~Watch() {
    SLUICE_CHECK(poller_ == nullptr);
}

WatchTable::~WatchTable() {
    SLUICE_CHECK(size() == 0);
}

void WatchTable::bind_worker() noexcept {
    worker_thread_.store(static_cast<std::uintptr_t>(pthread_self()), std::memory_order_relaxed);
}

bool WatchTable::on_worker() const noexcept {
    return worker_thread_.load(std::memory_order_relaxed) ==
           static_cast<std::uintptr_t>(pthread_self());
}

bool WatchTable::try_begin_turn() noexcept {
    if (turn_taken_.load(std::memory_order_relaxed)) return false;
    if (turn_taken_.exchange(true, std::memory_order_acquire)) return false;
    turn_thread_.store(static_cast<std::uintptr_t>(pthread_self()), std::memory_order_relaxed);
    return true;
}

WatchTable::Turn::Turn(WatchTable& table) noexcept : table_(&table) {
    while (!table.try_begin_turn()) sched_yield();
}

WatchTable::Turn::Turn(WatchTable& table, std::try_to_lock_t) noexcept
    : table_(table.try_begin_turn() ? &table : nullptr) {}

WatchTable::Turn::~Turn() {
    if (table_ == nullptr) return;
    table_->turn_thread_.store(0, std::memory_order_relaxed);
    table_->turn_taken_.store(false, std::memory_order_release);
}

Result<WatchTable::Token> WatchTable::insert(Watch& watch, Poller& poller, std::uint32_t interest) {
    SLUICE_CHECK(watch.poller_ == nullptr);
    SpinGuard guard(lock_);
    if (first_free_ == kNoSlot) {
        if (slots_.size() >= limits::kWatchesPerPollerMax) {
            return fail(Code::kResourceExhausted, "too many watched descriptors");
        }
        first_free_ = static_cast<std::uint32_t>(slots_.size());
        slots_.push_back({.next_free = kNoSlot});
    }
    Slot& slot = slots_[first_free_];
    SLUICE_ASSERT(slot.watch == nullptr);
    slot.watch = &watch;
    watch.slot_ = first_free_;
    watch.generation_ = slot.generation;
    watch.interest_ = interest;
    watch.poller_ = &poller;
    first_free_ = slot.next_free;
    size_.fetch_add(1, std::memory_order_relaxed);
    return token_of(watch);
}

WatchTable::Token WatchTable::token_of(const Watch& watch) const noexcept {
    return (std::uint64_t{watch.generation_} << 32) | watch.slot_;
}

void WatchTable::erase(Watch& watch) noexcept {
    {
        SpinGuard guard(lock_);
        Slot& slot = slots_[watch.slot_];
        SLUICE_CHECK(slot.watch == &watch && slot.generation == watch.generation_);
        slot.watch = nullptr;
        slot.generation = slot.generation == kGenerationMax ? 1 : slot.generation + 1;
        slot.next_free = first_free_;
        first_free_ = watch.slot_;
        size_.fetch_sub(1, std::memory_order_relaxed);
    }
    const auto here = static_cast<std::uintptr_t>(pthread_self());
    if (turn_thread_.load(std::memory_order_relaxed) != here) {
        while (running_.load(std::memory_order_acquire) == &watch) sched_yield();
    }
    watch.poller_ = nullptr;  // not before: the callback may ask for it
}

bool WatchTable::dispatch(Token token, std::uint32_t events) {
    SLUICE_ASSERT(turn_taken_.load(std::memory_order_relaxed));
    Watch* watch = nullptr;
    {
        SpinGuard guard(lock_);
        watch = live(token);
        if (watch == nullptr) return false;
        running_.store(watch, std::memory_order_relaxed);
    }
    watch->on_ready_(*watch, events);
    // The callback may have destroyed the Watch.
    running_.store(nullptr, std::memory_order_release);
    return true;
}

bool WatchTable::find(Token token, Registration& out) const noexcept {
    SpinGuard guard(lock_);
    const Watch* watch = live(token);
    if (watch == nullptr) return false;
    out = {.fd = watch->fd_, .interest = watch->interest_};
    return true;
}

Watch* WatchTable::live(Token token) const noexcept {
    const auto index = static_cast<std::uint32_t>(token);
    if (index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[index];
    return slot.generation == static_cast<std::uint32_t>(token >> 32) ? slot.watch : nullptr;
}

}  // namespace sluice::io
