#include "sync/mutex.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/pause.h"
#include "rt/runtime.h"

namespace sluice::sync {

struct Mutex::Node final : WaitNode {
    Node(Waiter& owner, TimeNs arrival_ns) noexcept : WaitNode(owner), since_ns(arrival_ns) {}
    const TimeNs since_ns;
    bool handed_over = false;  // written by unlock_slowly() before it notifies
};

namespace {

TimeNs now_ns() {
    return rt::Runtime::current().clock().now_ns();
}

}  // namespace

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
    const TimeNs since_ns = now_ns();
    for (bool woken = false;; woken = true) {
        Waiter waiter;
        Node node(waiter, since_ns);
        if (take_or_enqueue(node, woken)) return true;
        if (waiter.wait(context, rt::WaitReason::kMutex, this) == Waiter::kCancelled) {
            leave(node);
            return false;
        }
        if (node.handed_over) return true;
    }
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
        const bool hand_over =
            next != nullptr && now_ns() - next->since_ns >= limits::kMutexStarvingNs;
        if (hand_over) {
            next->handed_over = true;
        } else {
            cleared |= kLocked;
        }
        state_.fetch_and(~cleared, std::memory_order_release);
    }
    if (next != nullptr) next->waiter->notify();
}

}  // namespace sluice::sync
