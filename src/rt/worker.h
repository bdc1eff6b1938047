// Worker: a thread that runs fibers with the means of its Processor.
//
// The loop runs on the thread's own stack (the "scheduler's stack"): pick a fiber, switch to it,
// and when it comes back do what it asked for: queue it again (yield), finish parking it (park), or
// free it (end). Timer callbacks and I/O completions run on that stack too.
//
// How the next fiber is found: rt/worker_find.cc. How workers sleep and are woken: rt/scheduler.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "arch/switch.h"
#include "base/tick_clock.h"
#include "rt/outside_record.h"
#include "rt/park.h"
#include "rt/processor.h"
#include "rt/stack_capture.h"

namespace sluice::rt {

class Scheduler;

class Worker {
  public:
    Worker(Scheduler& scheduler, unsigned index, unsigned node, std::optional<std::uint64_t> seed);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Serves on the calling thread until the scheduler stops.
    void serve(std::unique_ptr<Poller> poller);

    Scheduler& scheduler() noexcept { return scheduler_; }
    Processor& processor() noexcept { return processor_; }
    unsigned index() const noexcept { return index_; }
    // One that was added while all others were stuck (rt/monitor.h).
    bool is_spare() const noexcept;
    // One more than the load needs (Options::workers_min): it runs no fibers.
    bool stands_aside() const noexcept;
    // Others' work: not one that stands aside, and a spare worker only while it is wanted.
    bool may_take() const noexcept;
    // Of the thread that serves, for /proc; 0: none does.
    int thread_id() const noexcept { return thread_id_.load(std::memory_order_relaxed); }
    StackCapture& capture() noexcept { return capture_; }
    // nullptr while the scheduler's stack runs.
    Fiber* current() const noexcept { return current_; }

    // The running fiber's requests; each returns when the fiber runs again, maybe on another
    // worker.
    void yield();
    void park(WaitReason reason, const void* object, detail::AfterPark after, void* closure);
    void set_request(std::uint64_t request, std::uint32_t phase) noexcept;
    void record_io(TraceKind kind, std::uint32_t count) noexcept;
    // When the fiber's budget is spent: yields.
    void yield_spent();
    // Any thread but the worker's: the running fiber's next checkpoint() yields. May get lost
    // against one that runs at this moment; whoever means it asks again.
    void ask_to_yield();

    // Called on this worker, by a fiber or by the scheduler's stack: where a fiber that has become
    // runnable goes. Wakes another worker if more than one waits here.
    void accept(Fiber* fiber);      // made ready
    void accept_new(Fiber* fiber);  // spawned
    void accept_all(FiberList&& fibers);

    // The runnable fiber's stack now starts with its entry function.
    static void prepare(Fiber* fiber, const StackArena::Bounds& stack);

  private:
    friend class Scheduler;
    static constexpr int kAskedToYield = -1;
    enum class Request : std::uint8_t { kYield, kPark, kEnd };

    static void fiber_main(void* argument) noexcept;
    void run(Fiber* fiber);
    bool finish_park(Fiber* fiber);
    void finish(Fiber* fiber);
    void enqueue(Fiber* fiber);
    void share_work();
    void record_yield() noexcept;

    // rt/worker_find.cc
    Fiber* next();
    void look_around();
    void sample_stack();
    void obey_memory_limit();
    Fiber* take_global(std::size_t most);
    Fiber* search();
    Fiber* steal();
    Fiber* steal_from(Worker& victim, bool last_pass);
    void poll_for(Poller& stuck);
    void sleep();
    void end_sleep();
    bool ends();
    bool stand_aside();
    void hand_over();
    TimeNs sleep_timeout_ns();
    unsigned poll(TimeNs timeout_ns);
    unsigned take_events(TimeNs timeout_ns);
    unsigned run_timers();
    void stop_spinning();

    Scheduler& scheduler_;
    const unsigned index_;
    const unsigned node_;  // of its memory
    Processor processor_;

    Ticks look_interval_ticks_ = 0;

    // Touched at every switch.
    Fiber* current_ = nullptr;
    Fiber::ExceptionState* exceptions_ = nullptr;  // of the serving thread (__cxa_get_globals)
    OutsideRecord* outside_ = nullptr;             // of the serving thread
    arch::Context context_;                        // of the scheduler's stack
    Request request_ = Request::kYield;
    WaitReason reason_ = WaitReason::kOther;
    const void* object_ = nullptr;
    detail::AfterPark after_ = nullptr;
    void* after_closure_ = nullptr;
    int* budget_ = nullptr;  // of the serving thread; negative: asked to yield
    std::uint32_t tick_ = 0;
    Ticks now_ticks_ = 0;        // as of the last switch out or poll
    std::uint64_t yielded_ = 0;  // the fiber that has given way since the last recorded event, or 0
    Ticks looked_at_ticks_ = 0;  // when timers and I/O were looked at last
    Ticks sampled_at_ticks_ = 0;  // when a stack was chosen to be measured
    std::size_t sampled_class_ = 0;
    std::uint32_t memory_epoch_ = 0;  // of the MemoryLimit, as last obeyed

    bool in_events_ = false;  // in timer callbacks or poll(): what they make ready is shared after
    // How this worker sleeps; see Scheduler.
    bool spinning_ = false;
    bool woken_spinning_ = false;               // this and the next: under the scheduler's lock_
    std::atomic<int>* asleep_among_ = nullptr;  // the counter that it is part of while asleep
    std::atomic<bool> poller_idle_{true};       // as of going to sleep
    std::atomic<bool> asleep_{false};
    std::atomic<int> thread_id_{0};
    StackCapture capture_;
};

}  // namespace sluice::rt
