#include "rt/worker.h"

#include <cxxabi.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/time_slice.h"
#include "rt/current_worker.h"
#include "rt/scheduler.h"

namespace sluice::rt {

Worker::Worker(Scheduler& scheduler, unsigned index, unsigned node,
               std::optional<std::uint64_t> seed)
    : scheduler_(scheduler),
      index_(index),
      node_(node),
      processor_(scheduler.stacks(), index, seed) {}

bool Worker::is_spare() const noexcept {
    return index_ >= scheduler_.base_workers();
}

bool Worker::stands_aside() const noexcept {
    return index_ >= scheduler_.active_workers() && !is_spare();
}

bool Worker::may_take() const noexcept {
    return is_spare() ? scheduler_.spares_wanted() : !stands_aside();
}

void Worker::serve(std::unique_ptr<Poller> poller) {
    processor_.poller = std::move(poller);
    SLUICE_CHECK(current_worker() == nullptr);
    set_current_worker(this);
    budget_ = &thread_budget();
    capture_.enter();
    thread_id_.store(::gettid(), std::memory_order_relaxed);
    outside_ = &outside_record();
    *outside_ = {.worker = index_ + 1};
    wish_short_slices();
    context_.adopt_thread();
    exceptions_ = reinterpret_cast<Fiber::ExceptionState*>(abi::__cxa_get_globals());
    now_ticks_ = scheduler_.ticks().now();
    constexpr Ticks kManyTicks = 1 << 20;
    look_interval_ticks_ = kManyTicks * static_cast<Ticks>(limits::kPollIntervalNs) /
                           static_cast<Ticks>(scheduler_.ticks().to_ns(kManyTicks));
    processor_.slice_start_ticks.store(now_ticks_);
    scheduler_.monitor().worker_awake();
    while (Fiber* fiber = next()) run(fiber);
    SLUICE_CHECK(processor_.waiting() == 0);
    processor_.slice_start_ticks.store(0);
    poller_idle_.store(true, std::memory_order_relaxed);
    thread_id_.store(0, std::memory_order_relaxed);
    capture_.leave();
    *outside_ = {};
    set_current_worker(nullptr);
}

void Worker::prepare(Fiber* fiber, const StackArena::Bounds& stack) {
    arch::reuse_stack(stack.lower, static_cast<std::size_t>(stack.upper - stack.lower));
    fiber->context_.prepare(stack.lower, static_cast<char*>(fiber->closure_), &fiber_main);
}

SLUICE_UNINSTRUMENTED void Worker::fiber_main(void* argument) noexcept {
    arch::enter();
    auto* fiber = static_cast<Fiber*>(argument);
    fiber->entry_(fiber->closure_);  // an exception that escapes ends the process
    Worker* worker = current_worker();
    worker->request_ = Request::kEnd;
    arch::switch_to(fiber->context_, worker->context_, nullptr, /*ends=*/true);
    __builtin_trap();
}

void Worker::yield() {
    Fiber* fiber = current_;
    SLUICE_CHECK(fiber != nullptr);
    request_ = Request::kYield;
    arch::switch_to(fiber->context_, context_, nullptr);
}

// A budget that is used up stands at 0; below it stands only one that was taken away.
void Worker::yield_spent() {
    const bool asked = std::atomic_ref(*budget_).load(std::memory_order_relaxed) < 0;
    if (asked) processor_.counters.yields_forced.add(1);
    yield();
}

// The budget lies in the thread's own storage, which must not go meanwhile.
void Worker::ask_to_yield() {
    capture_.while_serving([this](pthread_t) {
        std::atomic_ref(*budget_).store(kAskedToYield, std::memory_order_relaxed);
    });
}

void Worker::park(WaitReason reason, const void* object, detail::AfterPark after, void* closure) {
    Fiber* fiber = current_;
    SLUICE_CHECK(fiber != nullptr);
    request_ = Request::kPark;
    reason_ = reason;
    object_ = object;
    after_ = after;
    after_closure_ = closure;
    arch::switch_to(fiber->context_, context_, nullptr);
}

void Worker::set_request(std::uint64_t request, std::uint32_t phase) noexcept {
    outside_->request = current_->request_ = request;
    outside_->phase = current_->phase_ = phase;
}

void Worker::record_io(TraceKind kind, std::uint32_t count) noexcept {
    processor_.trace.record(kind, scheduler_.ticks().now(), 0, 0, WaitReason::kIo, count);
}

// Before anything else than the next run is recorded.
void Worker::record_yield() noexcept {
    if (yielded_ == 0) return;
    processor_.trace.record(TraceKind::kYield, now_ticks_, std::exchange(yielded_, 0));
}

void Worker::run(Fiber* fiber) {
    SLUICE_ASSERT(current_ == nullptr);
    SLUICE_ASSERT(fiber->state_.load(std::memory_order_relaxed) == FiberState::kRunnable);
    const Ticks since = fiber->runnable_since_ticks_;
    // The last stamp may be older, if the worker has searched since: no fiber ran for that time.
    now_ticks_ = std::max(now_ticks_, since);
    fiber->run_queue_ticks_ += now_ticks_ - since;
    fiber->state_.store(FiberState::kRunning, std::memory_order_relaxed);
    // Not when its park is refused: it has given way to nobody.
    processor_.slice_start_ticks.store(now_ticks_, std::memory_order_release);
    set_budget(limits::kFiberBudget);
    do {
        ++fiber->switches_;
        processor_.counters.switches.add(1);
        const std::uint64_t id = fiber->id_.load(std::memory_order_relaxed);
        processor_.trace.record_run(now_ticks_, id, std::exchange(yielded_, 0));
        current_ = fiber;
        outside_->request = fiber->request_;
        outside_->phase = fiber->phase_;
        outside_->fiber = id;
        *exceptions_ = fiber->exceptions_;
        arch::switch_to(context_, fiber->context_, fiber);
        fiber->exceptions_ = *exceptions_;
        *exceptions_ = Fiber::ExceptionState{};
        outside_->fiber = 0;
        current_ = nullptr;
        const Ticks left_ticks = scheduler_.ticks().now();
        if (left_ticks > now_ticks_) fiber->running_ticks_ += left_ticks - now_ticks_;
        now_ticks_ = left_ticks;
    } while (request_ == Request::kPark && !finish_park(fiber));
    if (request_ != Request::kPark) finish(fiber);
}

// False: `after` refused, the fiber goes on. When it returns true the fiber may run elsewhere
// already.
bool Worker::finish_park(Fiber* fiber) {
    fiber->wait_reason_.store(reason_, std::memory_order_relaxed);
    fiber->wait_object_.store(object_, std::memory_order_relaxed);
    fiber->parked_since_ticks_.store(now_ticks_, std::memory_order_relaxed);
    processor_.trace.record(TraceKind::kPark, now_ticks_, fiber->id(),
                            reinterpret_cast<std::uintptr_t>(object_), reason_);
    fiber->state_.store(FiberState::kWaiting, std::memory_order_release);
    if (after_(after_closure_, fiber)) return true;
    SLUICE_CHECK(fiber->state_.load(std::memory_order_relaxed) == FiberState::kWaiting);
    fiber->state_.store(FiberState::kRunning, std::memory_order_relaxed);
    return false;
}

void Worker::finish(Fiber* fiber) {
    if (request_ == Request::kYield) {
        yielded_ = fiber->id();  // recorded with the next run, or by record_yield()
        fiber->state_.store(FiberState::kRunnable, std::memory_order_relaxed);
        fiber->runnable_since_ticks_ = now_ticks_;
        enqueue(fiber);
        return;
    }
    SLUICE_ASSERT(request_ == Request::kEnd);
    processor_.trace.record(TraceKind::kEnd, now_ticks_, fiber->id());
    fiber->state_.store(FiberState::kFree, std::memory_order_release);
    if (fiber->measured_.load(std::memory_order_relaxed)) [[unlikely]]
        scheduler_.stacks().record_depth(*fiber);
    processor_.stacks_of(fiber->stack_class()).give_back(fiber);
    processor_.counters.ended.add(1);
}

void Worker::enqueue(Fiber* fiber) {
    while (!processor_.push(fiber)) {
        FiberList half;
        processor_.queue.take_half(half);
        if (half.empty()) continue;
        processor_.counters.overflows.add(1);
        scheduler_.global_queue().push_all(std::move(half));
    }
}

void Worker::accept(Fiber* fiber) {
    if (current_ == nullptr) {
        accept_new(fiber);
    } else if (Fiber* displaced = processor_.swap_run_next(fiber)) {
        enqueue(displaced);
        scheduler_.wake_one();
    }
}

void Worker::accept_new(Fiber* fiber) {
    enqueue(fiber);
    if (!in_events_) share_work();
}

void Worker::accept_all(FiberList&& fibers) {
    while (Fiber* fiber = fibers.pop_front()) enqueue(fiber);
    if (!in_events_) share_work();
}

void Worker::share_work() {
    if (processor_.waiting() >= 2) scheduler_.wake_one();
}

}  // namespace sluice::rt
