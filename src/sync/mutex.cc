#include "sync/mutex.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/pause.h"
#include "rt/runtime.h"
#include "sync/lock_wait.h"

namespace sluice::sync {

struct Mutex::Node final : WaitNode {
    Node(Waiter& owner, LockWait& whole) noexcept : WaitNode(owner), wait(whole) {}
    LockWait& wait;            // over all wake-ups; under queue_lock_ while the node is queued
    bool handed_over = false;  // written by unlock_slowly() before it notifies
};

Mutex::~Mutex() {
    SLUICE_CHECK(state_.load(std::memory_order_relaxed) == 0);
}

void Mutex::lock_slowly() {
    const bool locked = lock_slowly(Context::background());
    SLUICE_CHECK(locked);
}

Status Mutex::lock(const Context& context) {
    rt::checkpoint();
    std::uint32_t expected = 0;
    if (state_.compare_exchange_strong(expected, kLocked, std::memory_order_acquire)) return {};
    if (lock_slowly(context)) return {};
    return context.status();
}

// Not analysed: the lock is an atomic's bit.
bool Mutex::try_lock() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    return take();
}

bool Mutex::take() noexcept {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    while ((state & kLocked) == 0) {
        if (state_.compare_exchange_weak(state, state | kLocked, std::memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

bool Mutex::lock_slowly(const Context& context) {
    if (spin()) return true;
    LockWait wait(this);
    for (bool woken = false;; woken = true) {
        Waiter waiter;
        Node node(waiter, wait);
        if (take_or_enqueue(node, woken)) break;
        if (waiter.wait(context, rt::WaitReason::kMutex, this) == Waiter::kCancelled) {
            leave(node);
            wait.given_up();
            return false;
        }
        if (node.handed_over) break;
    }
    wait.over();
    return true;
}

// A holder on another CPU is often done within the time that parking would take.
bool Mutex::spin() noexcept {
    for (unsigned i = 0; i < limits::kMutexSpins; ++i) {
        if (state_.load(std::memory_order_relaxed) == 0 && take()) return true;
        pause_cpu();
    }
    return false;
}

// True: the mutex is taken. False: the node is in the queue and kContended is set, so that the
// holder's unlock() takes the slow path and finds it.
bool Mutex::take_or_enqueue(Node& node, bool in_front) {
    SpinGuard guard(queue_lock_);
    for (std::uint32_t state = state_.load(std::memory_order_relaxed);;) {
        if ((state & kLocked) == 0) {
            if (state_.compare_exchange_weak(state, state | kLocked, std::memory_order_acquire)) {
                return true;
            }
        } else if (state_.compare_exchange_weak(state, state | kContended,
                                                std::memory_order_relaxed)) {
            break;
        }
    }
    if (in_front) {
        queue_.push_front(node);
    } else {
        queue_.push_back(node);
    }
    return false;
}

void Mutex::leave(Node& node) {
    SpinGuard guard(queue_lock_);
    queue_.remove_if_linked(node);
    if (queue_.empty()) state_.fetch_and(~kContended, std::memory_order_relaxed);
}

void Mutex::unlock_slowly() noexcept {
    SLUICE_CHECK((state_.load(std::memory_order_relaxed) & kLocked) != 0);
    Node* next = nullptr;
    {
        SpinGuard guard(queue_lock_);
        next = static_cast<Node*>(queue_.pop_claimed());
        std::uint32_t cleared = queue_.empty() ? kContended : 0;
        if (next != nullptr) {
            Node* const head = static_cast<Node*>(queue_.front());
            const Ticks now = rt::Runtime::current().ticks().now();
            LockWait::let_go(next->wait, head != nullptr ? &head->wait : nullptr, now);
            next->handed_over = next->wait.lasted_ns(now) >= limits::kMutexStarvingNs;
        }
        if (next == nullptr || !next->handed_over) cleared |= kLocked;
        state_.fetch_and(~cleared, std::memory_order_release);
    }
    if (next != nullptr) next->waiter->notify();
}

}  // namespace sluice::sync
