#include "sync/rw_mutex.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/pause.h"
#include "rt/runtime.h"
#include "sync/lock_wait.h"

namespace sluice::sync {

struct RwMutex::Node final : WaitNode {
    Node(Waiter& owner, LockWait& whole, std::uint32_t wanted) noexcept
        : WaitNode(owner), wait(whole), mine(wanted) {}
    LockWait& wait;  // under queue_lock_ while the node is queued
    const std::uint32_t mine;
};

RwMutex::~RwMutex() {
    SLUICE_CHECK(state_.load(std::memory_order_relaxed) == 0);
}

// Not analysed: the lock is an atomic's value. The same holds for the rest of this file.
void RwMutex::lock() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    rt::checkpoint();
    if (!try_take(kWriter)) SLUICE_CHECK(lock_slowly(kWriter, Context::background()));
}

void RwMutex::lock_shared() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    rt::checkpoint();
    if (!try_take(kReader)) SLUICE_CHECK(lock_slowly(kReader, Context::background()));
}

Status RwMutex::lock(const Context& context) {
    rt::checkpoint();
    if (try_take(kWriter) || lock_slowly(kWriter, context)) return {};
    return context.status();
}

Status RwMutex::lock_shared(const Context& context) {
    rt::checkpoint();
    if (try_take(kReader) || lock_slowly(kReader, context)) return {};
    return context.status();
}

bool RwMutex::try_lock() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    return try_take(kWriter);
}

bool RwMutex::try_lock_shared() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    return try_take(kReader);
}

void RwMutex::unlock() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    const std::uint32_t before = state_.fetch_sub(kWriter, std::memory_order_release);
    SLUICE_CHECK((before & kWriter) != 0 && before < kReader);
    if ((before & kQueued) != 0) grant_next(/*by_holder=*/true);
}

void RwMutex::unlock_shared() noexcept SLUICE_NO_THREAD_SAFETY_ANALYSIS {
    const std::uint32_t before = state_.fetch_sub(kReader, std::memory_order_release);
    SLUICE_CHECK((before & kWriter) == 0 && before >= kReader);
    // The last of them: a writer at the head may enter.
    if ((before & kQueued) != 0 && before < 2 * kReader) grant_next(/*by_holder=*/true);
}

// Nobody passes while somebody waits: that is what keeps writers from starving.
bool RwMutex::try_take(std::uint32_t mine) noexcept {
    const std::uint32_t bars = mine == kWriter ? ~0U : kWriter | kQueued;
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    while ((state & bars) == 0) {
        if (state_.compare_exchange_weak(state, state + mine, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

bool RwMutex::lock_slowly(std::uint32_t mine, const Context& context) {
    // A holder on another CPU is often done within the time that parking would take.
    for (unsigned i = 0; i < limits::kMutexSpins; ++i) {
        if ((state_.load(std::memory_order_relaxed) & kQueued) != 0) break;
        if (try_take(mine)) return true;
        pause_cpu();
    }
    LockWait wait(this);
    Waiter waiter;
    Node node(waiter, wait, mine);
    if (take_or_enqueue(node)) return true;
    if (waiter.wait(context, rt::WaitReason::kMutex, this) != Waiter::kCancelled) {
        wait.over();
        return true;
    }
    {
        SpinGuard guard(queue_lock_);
        queue_.remove_if_linked(node);
    }
    // Those behind may go now, and an empty queue opens the fast paths.
    grant_next(/*by_holder=*/false);
    wait.given_up();
    return false;
}

// False: the node is queued and kQueued set, so that the holder who leaves last calls grant_next().
bool RwMutex::take_or_enqueue(Node& node) {
    SpinGuard guard(queue_lock_);
    for (std::uint32_t state = state_.load(std::memory_order_relaxed); (state & kQueued) == 0;) {
        const bool free = node.mine == kWriter ? state == 0 : (state & kWriter) == 0;
        const std::uint32_t next = free ? state + node.mine : state | kQueued;
        if (state_.compare_exchange_weak(state, next, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
            if (free) return true;
            break;
        }
    }
    queue_.push_back(node);
    return false;
}

// Lets in, from the head of the queue, one writer or all readers up to the next writer. While
// kQueued is set holders only leave, so what is seen here as free stays so. by_holder: the
// caller has made room by leaving.
void RwMutex::grant_next(bool by_holder) noexcept {
    WaitList granted;
    const Ticks now = rt::Runtime::current().ticks().now();
    {
        SpinGuard guard(queue_lock_);
        while (!queue_.empty()) {
            Node& node = static_cast<Node&>(*queue_.front());
            // Acquire: pairs with the holders' releases, on behalf of the one who enters.
            const std::uint32_t state = state_.load(std::memory_order_acquire);
            const bool free =
                node.mine == kWriter ? (state & ~kQueued) == 0 : (state & kWriter) == 0;
            if (!free) break;
            queue_.remove(node);
            if (!node.waiter->claim(node.outcome)) continue;  // cancelled
            state_.fetch_add(node.mine, std::memory_order_relaxed);
            granted.push_back(node);
            Node* const head = static_cast<Node*>(queue_.front());
            LockWait::let_go(node.wait, head != nullptr ? &head->wait : nullptr, now, by_holder);
        }
        if (queue_.empty()) state_.fetch_and(~kQueued, std::memory_order_relaxed);
    }
    granted.notify_all();
}

}  // namespace sluice::sync
