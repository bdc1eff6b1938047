// How a worker finds its next fiber, and what it does when there is none.
#include <algorithm>

#include "base/check.h"
#include "base/memory_limit.h"
#include "base/pause.h"
#include "rt/scheduler.h"
#include "rt/worker.h"

namespace sluice::rt {
namespace {
constexpr unsigned kStealPasses = 4;
constexpr unsigned kNearStealPasses = 2;  // the first ones: only workers of the thief's own node
constexpr std::size_t kShortQueue = 32;
// A run_next fiber is stolen only from a worker whose slice lasts longer than this.
constexpr TimeNs kStuckSliceNs = 50'000;
}  // namespace

// nullptr: the runtime has ended.
Fiber* Worker::next() {
    for (;;) {
        Fiber* fiber = nullptr;
        if (++tick_ % limits::kGlobalQueueInterval == 0 ||
            now_ticks_ - looked_at_ticks_ > look_interval_ticks_) {
            look_around();
            if (stands_aside() && !stand_aside()) return nullptr;
            // A worker whose own queue is short takes more: it may be one fiber that yields in a
            // loop for what waits in the global queue.
            fiber = take_global(processor_.queue.size() < kShortQueue ? kShortQueue : 1);
        }
        if (fiber == nullptr) fiber = processor_.pop();
        if (fiber == nullptr) record_yield();
        if (fiber == nullptr) fiber = take_global(LocalQueue::kSlots / 2);
        if (fiber == nullptr) fiber = search();
        if (fiber != nullptr) {
            if (spinning_) stop_spinning();
            return fiber;
        }
        if (ends()) return nullptr;
        sleep();
        if (stands_aside() && !stand_aside()) return nullptr;
    }
}

bool Worker::ends() {
    if (!scheduler_.should_end(*this)) return false;
    if (spinning_) scheduler_.end_spinning();
    spinning_ = false;
    return true;
}

// Sleeps and hands on what comes, until it is wanted again. False: the runtime has ended.
bool Worker::stand_aside() {
    while (stands_aside()) {
        hand_over();
        if (ends()) return false;
        sleep();
    }
    return true;
}

// What it would run goes to the others.
void Worker::hand_over() {
    FiberList fibers;
    while (Fiber* fiber = processor_.pop()) fibers.push_back(fiber);
    if (fibers.empty()) return;
    scheduler_.global_queue().push_all(std::move(fibers));
    scheduler_.wake_one();
}

// A busy worker must not forget its timers and its I/O.
void Worker::look_around() {
    looked_at_ticks_ = now_ticks_;
    record_yield();
    run_timers();
    if (!processor_.poller->idle()) poll(0);
    constexpr Ticks kLooksPerSample = limits::kStackSampleNs / limits::kPollIntervalNs;
    if (now_ticks_ - sampled_at_ticks_ > look_interval_ticks_ * kLooksPerSample) sample_stack();
}

// The next fiber of one stack size gets fresh memory, which shows at its end how deep it went.
void Worker::sample_stack() {
    sampled_at_ticks_ = now_ticks_;
    sampled_class_ = (sampled_class_ + 1) % kStackClasses;
    StackCache& stacks = processor_.stacks[sampled_class_];
    if (Fiber* fiber = stacks.hottest()) stacks.arena().refresh(*fiber);
}

// Memory may be wanted back, of which this worker keeps some that nobody else may touch.
void Worker::obey_memory_limit() {
    MemoryLimit* const memory = scheduler_.memory();
    if (memory == nullptr || memory->epoch() == memory_epoch_) return;
    memory_epoch_ = memory->epoch();
    for (StackCache& stacks : processor_.stacks) stacks.clear();
    memory->shrink_here();
}

// A share of the global queue, at most `most`; the first of them is returned.
Fiber* Worker::take_global(std::size_t most) {
    if (scheduler_.global_queue().empty() || !may_take()) return nullptr;
    FiberList share;
    scheduler_.global_queue().take_share(share, scheduler_.workers().size(), most);
    Fiber* first = share.pop_front();
    while (Fiber* fiber = share.pop_front()) enqueue(fiber);
    return first;
}

Fiber* Worker::search() {
    if (scheduler_.workers().size() == 1 || !may_take()) return nullptr;
    if (!spinning_) {
        if (!scheduler_.may_spin()) return nullptr;
        scheduler_.begin_spinning();
        spinning_ = true;
    }
    // Own events first: their fibers' data is nearer, and the others cannot do them. Without work
    // in sight that look can wait for sleep(), which is one system call less.
    if (scheduler_.work_to_steal() && !processor_.poller->idle() && poll(0) > 0) {
        if (Fiber* fiber = processor_.pop()) return fiber;
    }
    return steal();
}

Fiber* Worker::steal() {
    auto& workers = scheduler_.workers();
    const auto count = static_cast<unsigned>(workers.size());
    for (unsigned pass = 0; pass < kStealPasses; ++pass) {
        for (unsigned i = 0; i < count; ++i) {
            Worker& victim = *workers[(index_ + i + tick_) % count];
            const bool near = victim.node_ == node_;
            if (&victim == this || (!near && pass < kNearStealPasses)) continue;
            if (Fiber* fiber = steal_from(victim, pass + 1 == kStealPasses)) {
                if (!near) processor_.counters.steals_far.add(1);
                return fiber;
            }
        }
        pause_cpu();
    }
    return nullptr;
}

Fiber* Worker::steal_from(Worker& victim, bool last_pass) {
    Processor& theirs = victim.processor_;
    std::uint32_t stolen = 0;
    if (Fiber* fiber = theirs.queue.steal_into(processor_.queue, stolen)) {
        processor_.counters.steals.add(1);
        processor_.counters.stolen.add(stolen);
        return fiber;
    }
    if (!last_pass) return nullptr;
    const TickClock& ticks = scheduler_.ticks();
    const Ticks slice_start = theirs.slice_start_ticks.load(std::memory_order_acquire);
    const TimeNs slice_ns = slice_start == 0 ? 0 : ticks.to_ns(ticks.now() - slice_start);
    if (slice_ns > kStuckSliceNs) {
        if (Fiber* fiber = theirs.steal_run_next()) {
            processor_.counters.steals.add(1);
            processor_.counters.stolen.add(1);
            return fiber;
        }
    }
    const TimeNs deadline_ns = theirs.timers.next_deadline_ns();
    if (deadline_ns != kNever) {
        const TimeNs now_ns = scheduler_.clock().now_ns();
        if (now_ns - limits::kTimerRescueNs >= deadline_ns) {
            in_events_ = true;
            processor_.counters.timers_rescued.add(theirs.timers.run_due(now_ns, this));
            in_events_ = false;
        }
    }
    if (slice_ns > limits::kSliceNs) poll_for(*theirs.poller);
    return processor_.pop();
}

// Waits in the poller until there may be something to do.
void Worker::sleep() {
    if (run_timers() > 0) return;
    obey_memory_limit();
    Poller& poller = *processor_.poller;
    poller_idle_.store(poller.idle(), std::memory_order_relaxed);
    processor_.counters.parks.add(1);
    processor_.slice_start_ticks.store(0);
    scheduler_.fall_asleep(*this);
    if (spinning_) {
        spinning_ = false;
        scheduler_.end_spinning();
    }
    // Who has added work may have relied on this spinner, which is not wanted any more.
    if (!may_take() && scheduler_.work_to_steal()) scheduler_.wake_one();
    if (scheduler_.work_in_sight(*this) || scheduler_.last_one_verdict()) {
        end_sleep();
        if (!spinning_) {
            scheduler_.begin_spinning();
            spinning_ = true;
        }
        return;
    }
    processor_.asleep_since_ticks.store(scheduler_.ticks().now(), std::memory_order_relaxed);
    const unsigned events = take_events(sleep_timeout_ns());
    end_sleep();
    // Woken for a fiber there without a token: who finds it wakes the next one if there is more.
    if (!spinning_ && may_take() && !scheduler_.global_queue().empty()) {
        scheduler_.begin_spinning();
        spinning_ = true;
    }
    looked_at_ticks_ = now_ticks_;
    // Not before: as one of the sleepers this worker might be chosen itself.
    if (events > 0) share_work();
    run_timers();
}

void Worker::end_sleep() {
    spinning_ = scheduler_.wake_up(*this);
    now_ticks_ = scheduler_.ticks().now();
    const Ticks since = processor_.asleep_since_ticks.load(std::memory_order_relaxed);
    if (since != 0 && now_ticks_ > since) processor_.counters.slept_ticks.add(now_ticks_ - since);
    processor_.asleep_since_ticks.store(0, std::memory_order_release);
    processor_.slice_start_ticks.store(now_ticks_);
    scheduler_.monitor().worker_awake();
}

// Until this worker's next timer is due, or one of a worker that may be stuck in a long slice.
TimeNs Worker::sleep_timeout_ns() {
    const TimeNs own_ns = processor_.timers.next_deadline_ns();
    TimeNs guarded_ns = kNever;
    for (const auto& other : scheduler_.workers()) {
        if (!may_take()) break;
        if (other.get() == this || other->asleep_.load(std::memory_order_relaxed)) continue;
        const TimeNs theirs_ns = other->processor_.timers.next_deadline_ns();
        if (theirs_ns > kNever - limits::kTimerRescueNs) continue;
        guarded_ns = std::min(guarded_ns, theirs_ns + limits::kTimerRescueNs);
    }
    if (std::min(own_ns, guarded_ns) == kNever) return kNever;
    const TimeNs now_ns = scheduler_.clock().now_ns();
    // The search has just passed by timers that are overdue: it may not have been this worker's
    // turn to search. Looking again at once would only take the CPU from their owner.
    if (guarded_ns <= now_ns) guarded_ns = now_ns + limits::kTimerRescueNs;
    return std::max<TimeNs>(0, std::min(own_ns, guarded_ns) - now_ns);
}

unsigned Worker::poll(TimeNs timeout_ns) {
    const unsigned events = take_events(timeout_ns);
    if (events > 0) share_work();
    return events;
}

unsigned Worker::take_events(TimeNs timeout_ns) {
    SLUICE_ASSERT(current_ == nullptr && !in_events_);
    processor_.counters.polls.add(1);
    in_events_ = true;
    const unsigned events = processor_.poller->poll(timeout_ns);
    in_events_ = false;
    if (events > 0) record_io(TraceKind::kIoComplete, events);
    return events;
}

unsigned Worker::run_timers() {
    TimerHeap& timers = processor_.timers;
    if (timers.next_deadline_ns() == kNever) return 0;
    SLUICE_ASSERT(current_ == nullptr && !in_events_);
    in_events_ = true;
    const unsigned count = timers.run_due(scheduler_.clock().now_ns(), this);
    in_events_ = false;
    if (count > 0) {
        processor_.counters.timers.add(count);
        share_work();
    }
    return count;
}

// The I/O of a worker that is stuck. Its callbacks make fibers ready here.
void Worker::poll_for(Poller& stuck) {
    in_events_ = true;
    const unsigned events = stuck.poll_for_other();
    in_events_ = false;
    if (events == 0) return;
    processor_.counters.events_rescued.add(events);
    record_io(TraceKind::kIoComplete, events);
    share_work();
}

// A spinner that has found work wakes the next one if there is more.
void Worker::stop_spinning() {
    SLUICE_ASSERT(spinning_);
    spinning_ = false;
    scheduler_.end_spinning();
    if (scheduler_.work_to_steal()) scheduler_.wake_one();
}

}  // namespace sluice::rt
