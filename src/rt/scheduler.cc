#include "rt/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "rt/cpu_count.h"
#include "rt/current_worker.h"
#include "rt/null_poller.h"
#include "rt/stack_overflow.h"

namespace sluice::rt {
namespace {

unsigned worker_count(const Options& options) {
    const unsigned wanted = options.workers != 0 ? options.workers : usable_cpus();
    SLUICE_CHECK(!options.schedule_seed || wanted == 1);
    return std::min(wanted, limits::kWorkersMax);
}

}  // namespace

Scheduler::Scheduler(Runtime& runtime, Options options)
    : runtime_(runtime),
      options_(std::move(options)),
      clock_(options_.clock != nullptr ? options_.clock : &system_clock_),
      // A clock of the caller's own is the measure of everything, accounts included.
      ticks_(*clock_,
             options_.clock != nullptr ? TickClock::Source::kClock : TickClock::best_source()),
      stacks_(&runtime, options_.stack_bytes, options_.memory),
      cpus_(options_.places.empty() ? std::vector<unsigned>() : allowed_cpus()) {
    const unsigned count = worker_count(options_);
    for (unsigned i = 0; i < count; ++i) workers_.add(make_worker(i));
    base_workers_ = count;
    const unsigned at_least = std::min(adapts() ? options_.workers_min : count, count);
    active_workers_.store(std::clamp(usable_cpus(), at_least, count));
    spares_max_ = std::min(options_.spare_workers_max, limits::kSpareWorkersMax);
    blocking_pool_ = std::make_unique<BlockingPool>(options_.blocking_threads_max, base_workers_,
                                                    options_.blocking_thread_idle_ns,
                                                    [this] { place_thread(cpus_); });
    install_stack_overflow_handler();
}

Scheduler::~Scheduler() {
    SLUICE_CHECK(current_worker() == nullptr);
    blocking_pool_.reset();
    SLUICE_CHECK(live() == 0);
    SLUICE_CHECK(foreign_threads_.load() == 0);
}

void Scheduler::run(std::function<void()> main) {
    SLUICE_CHECK(current_worker() == nullptr);
    const unsigned count = base_workers_;
    {
        const MutexLock lock(lock_);
        SLUICE_CHECK(serving_ == 0);
        serving_ = count;
        stopping_.store(false);
    }
    spawn_on(runtime_, 0, std::move(main), "main");
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < count; ++i) {
        threads.emplace_back([this, i] {
            pthread_setname_np(pthread_self(), ("worker-" + std::to_string(i)).c_str());
            serve(i);
        });
    }
    if (options_.monitor && !options_.schedule_seed) monitor_.start();
    serve(0);
    monitor_.stop();
    for (std::thread& thread : threads) thread.join();
    for (std::thread& thread : spare_threads_) thread.join();
    spare_threads_.clear();
    spares_.store(0);
    spares_wanted_.store(false);
    blocking_pool_->settle();  // the next run() makes new pollers
    SLUICE_CHECK(live() == 0);
    // A foreign thread may still look for a sleeper, for a fiber that has ended meanwhile.
    while (spinning_.load() != 0) std::this_thread::yield();
    SLUICE_CHECK(sleepers_.load() + spare_sleepers_.load() + aside_sleepers_.load() == 0);
}

// On memory of its place: the pages that it writes first are its node's.
std::unique_ptr<Worker> Scheduler::make_worker(unsigned index) {
    std::unique_ptr<Worker> worker;
    if (index >= options_.places.size()) {
        return std::make_unique<Worker>(*this, index, 0, options_.schedule_seed);
    }
    std::thread([&] {
        const WorkerPlace& place = options_.places[index];
        place_thread(place.cpus);
        worker = std::make_unique<Worker>(*this, index, place.node, options_.schedule_seed);
    }).join();
    return worker;
}

void Scheduler::serve(unsigned index) {
    const AlternateSignalStack signal_stack;
    if (index < options_.places.size()) place_thread(options_.places[index].cpus);
    workers_[index]->serve(options_.make_poller ? options_.make_poller(index)
                                                : std::make_unique<NullPoller>());
    place_thread(cpus_);  // the thread of worker 0 is the caller's again
}

// The calling thread runs on these CPUs from now on, if it still can: whoever administers the
// machine may have moved the process to others, which is no reason to end it.
void Scheduler::place_thread(const std::vector<unsigned>& cpus) {
    const Status placed = pin_thread(cpus);
    if (placed || unplaced_threads_.fetch_add(1) > 0) return;
    if (options_.on_unplaced) {
        options_.on_unplaced(placed.error());
    } else {
        std::fprintf(stderr, "a thread keeps the CPUs that it has: %s\n",
                     placed.error().message().c_str());
    }
}

// The Worker of an earlier run() is used again: its counters belong to the sums.
bool Scheduler::call_spare(bool may_start) {
    spares_wanted_.store(true);
    if (spare_sleepers_.load() > 0) {
        wake_one();
        return false;
    }
    const unsigned spares = spares_.load();
    if (!may_start || spares >= spares_max_) return false;
    const unsigned index = base_workers_ + spares;
    {
        const MutexLock lock(lock_);
        if (stopping_.load()) return false;
        ++serving_;
    }
    if (index == workers_.size()) {
        workers_.add(make_worker(index));
    }
    spares_.store(spares + 1);
    spare_threads_.emplace_back([this, index] {
        pthread_setname_np(pthread_self(), ("spare-" + std::to_string(index)).c_str());
        serve(index);
    });
    if (options_.on_spare) {
        options_.on_spare(spares + 1);
    } else {
        std::fprintf(stderr, "every worker is stuck and work waits: spare worker %u\n", spares + 1);
    }
    return true;
}

detail::NewFiber Scheduler::new_fiber(std::size_t closure_bytes, FiberTraits traits,
                                      void (*entry)(void* closure)) {
    Worker* worker = current_worker();
    Fiber* fiber = nullptr;
    const bool own = worker != nullptr && &worker->scheduler() == this;
    if (own) {
        fiber = worker->processor().stacks_of(traits.stack).take();
    } else {
        FiberList one;
        stacks_.of(traits.stack).take(one, 1);
        fiber = one.pop_front();
    }
    SLUICE_ASSERT(fiber->state() == FiberState::kFree);
    constexpr std::uintptr_t kAlignment = 64;
    const StackArena::Bounds stack = stacks_.of(traits.stack).bounds(fiber);
    const auto closure =
        (reinterpret_cast<std::uintptr_t>(stack.upper) - closure_bytes) & ~(kAlignment - 1);
    fiber->id_.store(next_fiber_id_.fetch_add(1, std::memory_order_relaxed),
                     std::memory_order_relaxed);
    fiber->name_.store(traits.name, std::memory_order_relaxed);
    fiber->entry_ = entry;
    fiber->closure_ = reinterpret_cast<void*>(closure);
    fiber->exceptions_ = {};
    fiber->run_queue_ticks_ = 0;
    fiber->running_ticks_ = 0;
    fiber->switches_ = 0;
    Worker::prepare(fiber, stack);
    fiber->waiting_ticks_ = {};
    fiber->request_ = 0;
    fiber->phase_ = 0;
    fiber->runnable_since_ticks_ = ticks_.now();
    fiber->state_.store(FiberState::kRunnable, std::memory_order_release);
    const Fiber* creator = own ? worker->current() : nullptr;
    record(own ? worker : nullptr, TraceKind::kCreate, fiber->runnable_since_ticks_, *fiber,
           creator != nullptr ? creator->id() : 0);
    return {fiber, fiber->closure_};
}

void Scheduler::start_on(unsigned worker, Fiber* fiber) {
    SLUICE_CHECK(worker < base_workers_);
    started_elsewhere_.fetch_add(1);
    workers_[worker]->processor().inbox.push(fiber);
    wake_worker(worker);
}

void Scheduler::make_runnable(Fiber* fiber, Worker* by, bool in_pool) {
    SLUICE_ASSERT(owns(*fiber));
    const Ticks now = ticks_.now();
    const WaitReason reason = fiber->wait_reason();
    fiber->runnable_since_ticks_ = now;
    const Ticks since = fiber->parked_since_ticks_.load(std::memory_order_relaxed);
    if (now > since) fiber->waiting_ticks_[static_cast<unsigned>(reason)] += now - since;
    const Fiber* waker = by != nullptr ? by->current() : nullptr;
    if (in_pool) {
        pool_trace_.record(TraceKind::kReady, now, fiber->id(), 0, reason);
    } else {
        record(by, TraceKind::kReady, now, *fiber, waker != nullptr ? waker->id() : 0, reason);
    }
    const FiberState was = fiber->state_.exchange(FiberState::kRunnable);
    SLUICE_CHECK(was == FiberState::kWaiting);  // exactly one ready() for each park()
}

void Scheduler::ready_foreign(FiberList&& fibers) {
    while (Fiber* fiber = fibers.pop_front()) global_queue_.push_foreign(fiber);
    wake_one();
}

void Scheduler::ready_from_pool(Fiber* fiber) {
    make_runnable(fiber, nullptr, /*in_pool=*/true);
    global_queue_.push_foreign(fiber);
    nudge_one();
}

void Scheduler::record_blocking(TraceKind kind, const Fiber& fiber) {
    pool_trace_.record(kind, ticks_.now(), fiber.id(), 0, WaitReason::kOther);
}

void Scheduler::record(Worker* worker, TraceKind kind, Ticks ticks, const Fiber& fiber,
                       std::uint64_t other, WaitReason reason) {
    if (worker != nullptr) {
        worker->processor().trace.record(kind, ticks, fiber.id(), other, reason);
        return;
    }
    foreign_trace_.record(kind, ticks, fiber.id(), other, reason);
}

std::vector<TraceEvent> Scheduler::trace() const {
    std::vector<std::vector<TraceEvent>> rings;
    for (const auto& worker : workers_) worker->processor().trace.read(rings.emplace_back());
    foreign_trace_.read(rings.emplace_back());
    pool_trace_.read(rings.emplace_back());
    // Each ring stays in its own order. Of two events at the same tick a run is the later one: the
    // fiber was made ready elsewhere and taken up at once.
    std::vector<TraceEvent> events;
    std::vector<std::size_t> taken(rings.size());
    for (;;) {
        const TraceEvent* first = nullptr;
        std::size_t from = 0;
        for (std::size_t i = 0; i < rings.size(); ++i) {
            if (taken[i] == rings[i].size()) continue;
            const TraceEvent& head = rings[i][taken[i]];
            const auto order = [](const TraceEvent& event) {
                return std::pair(event.ticks, event.kind == TraceKind::kRun);
            };
            if (first != nullptr && order(*first) <= order(head)) continue;
            first = &head;
            from = i;
        }
        if (first == nullptr) return events;
        events.push_back(*first);
        ++taken[from];
    }
}

LockReport Scheduler::lock_profile() const {
    LockReport report;
    for (const auto& worker : workers_) worker->processor().locks.read(report);
    join_rows(report.rows);
    return report;
}

Stats Scheduler::stats() const {
    Stats sum;
    for (const auto& worker : workers_) {
        const Counters& counters = worker->processor().counters;
        sum.fibers_started += counters.started.get();
        sum.fibers_ended += counters.ended.get();
        sum.switches += counters.switches.get();
        sum.steals += counters.steals.get();
        sum.fibers_stolen += counters.stolen.get();
        sum.overflows += counters.overflows.get();
        sum.polls += counters.polls.get();
        sum.parks += counters.parks.get();
        sum.timers_fired += counters.timers.get() + counters.timers_rescued.get();
        sum.timers_fired_for_others += counters.timers_rescued.get();
        sum.events_for_others += counters.events_rescued.get();
        sum.yields_forced += counters.yields_forced.get();
        sum.locks += worker->processor().locks.totals();
        sum.steals_far += counters.steals_far.get();
    }
    sum.active_workers = active_workers();
    sum.active_worker_changes = active_worker_changes_.load(std::memory_order_relaxed);
    sum.fibers_started += started_elsewhere_.load();
    sum.wakes = wakes_.load(std::memory_order_relaxed);
    sum.stalls = monitor_.stalls();
    sum.spare_workers = spares_.load();
    sum.stalls_suppressed = monitor_.stalls_suppressed();
    sum.monitor_ticks = monitor_.ticks();
    sum.unplaced_threads = unplaced_threads_.load(std::memory_order_relaxed);
    const StackArena::Figures stacks = stacks_.figures();
    sum.stacks = stacks.slots;
    sum.stacks_unguarded = stacks.unguarded;
    return sum;
}

}  // namespace sluice::rt
