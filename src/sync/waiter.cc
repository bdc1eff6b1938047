#include "sync/waiter.h"

#include "base/check.h"
#include "sync/context.h"

namespace sluice::sync {
namespace {

// Ends the wait when the context ends. Runs under the context's lock; takes none itself.
struct CancelWait final : Context::Callback {
    explicit CancelWait(Waiter& target) noexcept : Callback(&CancelWait::run), waiter(target) {}
    static void run(Callback& callback) noexcept {
        Waiter& waiter = static_cast<CancelWait&>(callback).waiter;
        if (waiter.claim(Waiter::kCancelled)) waiter.notify();
    }
    Waiter& waiter;
};

}  // namespace

Waiter::Waiter() noexcept : fiber_(rt::current()) {
    SLUICE_CHECK(fiber_ != nullptr);
}

// Nobody may be between claim() and notify().
Waiter::~Waiter() {
    SLUICE_ASSERT(state_.load(std::memory_order_relaxed) != kParked);
}

bool Waiter::claim(std::uint32_t outcome) noexcept {
    SLUICE_ASSERT(outcome != 0);
    std::uint32_t expected = 0;
    return outcome_.compare_exchange_strong(expected, outcome, std::memory_order_acq_rel);
}

void Waiter::notify() noexcept {
    SLUICE_ASSERT(outcome_.load(std::memory_order_relaxed) != 0);
    rt::Fiber* const fiber = fiber_;
    // Release: what the claimer wrote for the fiber. Pairs with the acquire in park() or, through
    // the scheduler's queues, with the resumption.
    const std::uint32_t before = state_.exchange(kNotified, std::memory_order_acq_rel);
    SLUICE_ASSERT(before != kNotified);
    if (before == kParked) rt::ready(fiber);
}

void Waiter::park(rt::WaitReason reason, const void* object) {
    SLUICE_ASSERT(rt::current() == fiber_);
    if (state_.load(std::memory_order_acquire) == kNotified) return;
    rt::park(
        reason,
        [this](rt::Fiber*) {
            std::uint32_t expected = kPreparing;
            return state_.compare_exchange_strong(expected, kParked, std::memory_order_acq_rel);
        },
        object);
    SLUICE_ASSERT(state_.load(std::memory_order_acquire) == kNotified);
}

std::uint32_t Waiter::wait(const Context& context, rt::WaitReason reason, const void* object) {
    if (context.never_ends()) {
        park(reason, object);
        return outcome_.load(std::memory_order_relaxed);
    }
    CancelWait cancel(*this);
    if (!context.add(cancel)) {
        // Ended already. If nobody else was faster, nobody will notify us.
        if (claim(kCancelled)) return kCancelled;
        park(reason, object);
        return outcome_.load(std::memory_order_relaxed);
    }
    park(reason, object);
    context.remove(cancel);
    return outcome_.load(std::memory_order_relaxed);
}

}  // namespace sluice::sync
