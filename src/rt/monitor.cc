#include "rt/monitor.h"

#include <pthread.h>

#include <chrono>

#include "base/check.h"
#include "base/memory_limit.h"
#include "rt/cpu_count.h"
#include "rt/scheduler.h"

namespace sluice::rt {

Monitor::~Monitor() {
    SLUICE_CHECK(!thread_.joinable());
}

void Monitor::start() {
    SLUICE_CHECK(!thread_.joinable());
    stopping_ = false;
    seen_ = {};
    scheduler_.stacks().set_tended(true);
    if (scheduler_.adapts()) {
        worker_count_.emplace(WorkerCount::Bounds{.min = scheduler_.options().workers_min,
                                                  .max = scheduler_.base_workers(),
                                                  .cpus = usable_cpus()});
        load_meter_.emplace(scheduler_);
    }
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "monitor");
        serve();
    });
}

void Monitor::stop() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    woken_.notify_one();
    thread_.join();
    load_meter_.reset();
    resting_.store(false);
    scheduler_.stacks().set_tended(false);
}

void Monitor::rearm() noexcept {
    {
        const std::lock_guard lock(mutex_);
        resting_.store(false);
    }
    woken_.notify_one();
}

void Monitor::serve() {
    unsigned idle_ticks = 0;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (idle_ticks >= limits::kMonitorIdleTicks) {
            lock.unlock();
            look_at_memory(/*quiet=*/true);
            lock.lock();
            if (!stacks_left_ && !memory_left_) rest(lock);
            idle_ticks = 0;
        }
        const std::chrono::nanoseconds pause(limits::kMonitorTickNs);
        if (woken_.wait_for(lock, pause, [this] { return stopping_; })) return;
        lock.unlock();
        idle_ticks = tick() ? 0 : idle_ticks + 1;
        lock.lock();
    }
}

// What the workers keep for themselves they give back before they sleep again.
void Monitor::look_at_memory(bool quiet) {
    MemoryLimit* const memory = scheduler_.memory();
    if (memory == nullptr) return;
    if (memory->look(scheduler_.clock().now_ns(), quiet)) scheduler_.wake_all();
    memory_left_ = memory->unfinished();
}

void Monitor::rest(std::unique_lock<std::mutex>& lock) {
    resting_.store(true);
    if (anyone_awake()) resting_.store(false);
    woken_.wait(lock, [this] { return stopping_ || !resting_.load(); });
}

bool Monitor::anyone_awake() const noexcept {
    for (const auto& worker : scheduler_.workers()) {
        if (worker->processor().slice_start_ticks.load() != 0) return true;
    }
    return false;
}

// False if nobody was awake.
bool Monitor::tick() {
    ticks_.fetch_add(1, std::memory_order_relaxed);
    bool awake = false;
    bool work_waits = !scheduler_.global_queue().empty();
    bool all_stuck = true;      // all but spare ones
    bool helper_awake = false;  // a spare one that is not stuck
    for (const auto& worker : scheduler_.workers()) {
        Seen& seen = seen_[worker->index()];
        const TimeNs age_ns = slice_age_ns(*worker, seen);
        awake = awake || seen.slice_start != 0;
        const bool stuck = age_ns >= limits::kStallNs;
        if (worker->is_spare()) {
            helper_awake = helper_awake || (seen.slice_start != 0 && !stuck);
        } else if (!worker->stands_aside()) {
            all_stuck = all_stuck && stuck;
        }
        if (age_ns < limits::kSliceNs) continue;
        worker->ask_to_yield();
        work_waits = work_for_others(*worker) || work_waits;
        if (!stuck || seen.reported) continue;
        seen.reported = true;
        report(*worker, seen);
    }
    if (load_meter_) adapt();
    // Whoever makes a single fiber ready wakes nobody, since it is about to run it itself.
    if (work_waits) scheduler_.wake_one();
    if (!all_stuck) {
        scheduler_.dismiss_spares();
    } else if (work_waits) {
        constexpr std::uint64_t kTicksToStart = 3;  // a thread needs a while
        const bool starting = spare_started_at_ + kTicksToStart > ticks();
        if (scheduler_.call_spare(!helper_awake && !starting)) spare_started_at_ = ticks();
    }
    constexpr std::uint64_t kTicksPerLook = limits::kMemoryLookNs / limits::kMonitorTickNs;
    if (ticks() % kTicksPerLook == 0) look_at_memory(/*quiet=*/false);
    stacks_left_ = scheduler_.stacks().tend(scheduler_.clock().now_ns());
    return awake;
}

void Monitor::adapt() {
    const std::optional<WorkerLoad> load = load_meter_->take();
    if (load) scheduler_.set_active_workers(worker_count_->sample(*load));
}

// 0 if the worker sleeps, or was not seen in this slice before.
TimeNs Monitor::slice_age_ns(Worker& worker, Seen& seen) {
    Processor& processor = worker.processor();
    const Ticks start = processor.slice_start_ticks.load(std::memory_order_acquire);
    const std::uint64_t switches = processor.counters.switches.get();
    const Ticks now = scheduler_.ticks().now();
    if (start != seen.slice_start || switches != seen.switches) {
        seen = {.slice_start = start, .switches = switches, .at = now};
        if (start != 0) seen.cpu_ns = worker.capture().cpu_ns();
        return 0;
    }
    return start != 0 && now > start ? scheduler_.ticks().to_ns(now - start) : 0;
}

// Has a stuck worker anything that another could run?
bool Monitor::work_for_others(Worker& worker) {
    const Poller::Waiting events = worker.processor().poller->waiting();
    if (events == Poller::Waiting::kForOwner) worker.capture().nudge();
    if (events != Poller::Waiting::kNothing) return true;
    Processor& processor = worker.processor();
    if (processor.has_run_next() || processor.queue.size() > 0) return true;
    const TimeNs deadline_ns = processor.timers.next_deadline_ns();
    return deadline_ns != kNever &&
           deadline_ns <= scheduler_.clock().now_ns() - limits::kTimerRescueNs;
}

bool Monitor::may_report() {
    const TimeNs now_ns = scheduler_.clock().now_ns();
    constexpr TimeNs kMinuteNs = 60 * kSecond;
    if (reports_in_minute_ == 0 || now_ns - minute_start_ns_ >= kMinuteNs) {
        minute_start_ns_ = now_ns;
        reports_in_minute_ = 0;
    }
    if (reports_in_minute_ == limits::kStallReportsPerMinute) return false;
    ++reports_in_minute_;
    return true;
}

// A slice that ends while it is looked at is only counted: its stack is gone.
void Monitor::report(Worker& worker, const Seen& seen) {
    stalls_.fetch_add(1, std::memory_order_relaxed);
    StallReport report;
    report.worker = worker.index();
    const TickClock& ticks = scheduler_.ticks();
    report.cpu_ns = worker.capture().cpu_ns() - seen.cpu_ns;  // first: no more than what it is of
    const Ticks now = ticks.now();
    report.lasted_ns = ticks.to_ns(now - seen.slice_start);
    report.watched_ns = ticks.to_ns(now - seen.at);
    StackCapture::Result captured;
    const bool answered = worker.capture().take(captured);
    Processor& processor = worker.processor();
    const bool goes_on = processor.counters.switches.get() == seen.switches &&
                         processor.slice_start_ticks.load() == seen.slice_start;
    if (!goes_on || !may_report()) {
        stalls_suppressed_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (answered) {
        report.fiber = captured.fiber;
        report.name = captured.name;
        for (const std::uintptr_t address : captured.stack.frames()) {
            report.stack += "    " + symbol_at(address) + "\n";
        }
    }
    scheduler_.report_stall(report);
}

}  // namespace sluice::rt
