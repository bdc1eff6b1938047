#include "rt/runtime.h"

#include <algorithm>

#include "base/check.h"
#include "rt/blocking_pool.h"
#include "rt/current_worker.h"
#include "rt/park.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

Worker& worker_here() {
    Worker* worker = current_worker();
    SLUICE_CHECK(worker != nullptr);
    return *worker;
}

// The calling worker, if it serves the fiber's runtime.
Worker* worker_of(const Fiber& fiber) {
    Worker* worker = current_worker();
    return worker != nullptr && worker->scheduler().owns(fiber) ? worker : nullptr;
}

}  // namespace

Runtime::Runtime(Options options)
    : scheduler_(std::make_unique<Scheduler>(*this, std::move(options))) {}
Runtime::~Runtime() = default;

void Runtime::run(std::function<void()> main) {
    scheduler_->run(std::move(main));
}
Runtime& Runtime::current() {
    return worker_here().scheduler().runtime();
}
unsigned Runtime::workers() const noexcept {
    return scheduler_->base_workers();
}
unsigned Runtime::active_workers() const noexcept {
    return scheduler_->active_workers();
}
unsigned Runtime::worker_slots() const noexcept {
    return scheduler_->base_workers() + scheduler_->spares_max();
}
unsigned Runtime::worker_index() const noexcept {
    Worker* const worker = current_worker();
    if (worker == nullptr || &worker->scheduler() != scheduler_.get()) return workers();
    return std::min(worker->index(), workers());
}
const Clock& Runtime::clock() const noexcept {
    return scheduler_->clock();
}
const TickClock& Runtime::ticks() const noexcept {
    return scheduler_->ticks();
}
BlockingPool& Runtime::blocking_pool() noexcept {
    return scheduler_->blocking_pool();
}
MemoryLimit* Runtime::memory() const noexcept {
    return scheduler_->memory();
}
Stats Runtime::stats() const {
    return scheduler_->stats();
}
StackReport Runtime::stack_report() const {
    return scheduler_->stacks().report();
}
std::vector<TraceEvent> Runtime::trace() const {
    return scheduler_->trace();
}
LockReport Runtime::lock_profile() const {
    return scheduler_->lock_profile();
}
std::string Runtime::dump() const {
    return scheduler_->dump();
}

ForeignThread::ForeignThread(Runtime& runtime) : runtime_(runtime) {
    runtime_.scheduler().hold(+1);
}
ForeignThread::~ForeignThread() {
    runtime_.scheduler().hold(-1);
}

Fiber* current() noexcept {
    Worker* worker = current_worker();
    return worker != nullptr ? worker->current() : nullptr;
}

Poller& current_poller() {
    return *worker_here().processor().poller;
}

void record_io_submit(unsigned operations) noexcept {
    if (Worker* worker = current_worker()) worker->record_io(TraceKind::kIoSubmit, operations);
}

void yield() {
    worker_here().yield();
}

void detail::budget_spent() {
    Worker* worker = current_worker();
    if (worker != nullptr && worker->current() != nullptr) {
        worker->yield_spent();
    } else {
        set_budget(limits::kFiberBudget);  // a thread or a scheduler's stack: nothing to yield
    }
}

FiberAccount Fiber::account() const noexcept {
    const TickClock& ticks = runtime_->ticks();
    return {.run_queue_ns = ticks.to_ns(run_queue_ticks_),
            .running_ns = ticks.to_ns(running_ticks_),
            .switches = switches_};
}

std::array<TimeNs, kWaitReasons> Fiber::waits() const noexcept {
    const TickClock& ticks = runtime_->ticks();
    std::array<TimeNs, kWaitReasons> waits{};
    for (unsigned i = 0; i < kWaitReasons; ++i) waits[i] = ticks.to_ns(waiting_ticks_[i]);
    return waits;
}

void set_request(std::uint64_t request, std::uint32_t phase) noexcept {
    Worker* worker = current_worker();
    if (worker != nullptr && worker->current() != nullptr) worker->set_request(request, phase);
}

void ready(Fiber* fiber) {
    Worker* worker = worker_of(*fiber);
    Scheduler& scheduler = fiber->runtime().scheduler();
    scheduler.make_runnable(fiber, worker);
    if (worker != nullptr) {
        worker->accept(fiber);
        return;
    }
    FiberList one;
    one.push_back(fiber);
    scheduler.ready_foreign(std::move(one));
}

void ready_all(FiberList&& fibers) {
    if (fibers.empty()) return;
    FiberList runnable;
    Fiber* first = fibers.pop_front();
    Scheduler& scheduler = first->runtime().scheduler();
    Worker* const worker = worker_of(*first);
    for (Fiber* fiber = first; fiber != nullptr; fiber = fibers.pop_front()) {
        scheduler.make_runnable(fiber, worker);
        runnable.push_back(fiber);
    }
    if (worker != nullptr) {
        worker->accept_all(std::move(runnable));
    } else {
        scheduler.ready_foreign(std::move(runnable));
    }
}

namespace detail {

void park(WaitReason reason, const void* object, AfterPark after, void* closure) {
    worker_here().park(reason, object, after, closure);
}

NewFiber new_fiber(Runtime* runtime, std::size_t closure_bytes, FiberTraits traits,
                   void (*entry)(void* closure)) {
    Scheduler& scheduler = runtime != nullptr ? runtime->scheduler() : worker_here().scheduler();
    return scheduler.new_fiber(closure_bytes, traits, entry);
}

void start_here(Fiber* fiber) {
    Worker& worker = worker_here();
    worker.processor().counters.started.add(1);
    worker.accept_new(fiber);
}

void start_on(Runtime& runtime, unsigned worker, Fiber* fiber) {
    runtime.scheduler().start_on(worker, fiber);
}

void run_blocking(void (*run)(void* closure), void* closure) {
    BlockingPool& pool = Runtime::current().blocking_pool();
    if (pool.threads_max() == 0) {
        yield();  // a suspension all the same, as with threads
        run(closure);
        return;
    }
    BlockingPool::Job job{.run = run, .closure = closure};
    rt::park(WaitReason::kBlocking, [&job, &pool](Fiber* fiber) {
        job.fiber = fiber;
        pool.submit(&job);
        return true;
    });
}

}  // namespace detail
}  // namespace sluice::rt
