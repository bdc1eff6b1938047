// WorkerPool: a fixed number of fibers that run small jobs from a bounded queue. For very many tiny
// jobs, where a fiber each would cost a stack each and nothing would bound how many there are.
//
//   sync::WorkerPool pool(&context, {.workers = 8, .queue = 256});
//   for (const Path& path : paths) {
//       SLUICE_TRY(pool.submit([&path](const Context&) { return index_file(path); }, context));
//   }
//   SLUICE_TRY(pool.drain());
//
// With `blocking_batch` the jobs run on the runtime's blocking threads, up to so many in one
// hand-over: for jobs that make a few short system calls each, the hand-over is most of the cost
// (docs/sync.md has the numbers). Such a job must neither suspend nor ask the context.
//
// A job is a closure `Status(const Context&)` or `void(const Context&)` of at most
// limits::kJobClosureBytes; it lies in the queue, nothing is allocated. The first error cancels the
// pool: jobs that still wait are destroyed without being run, running ones see the context's end.
//
// The constructor, submit() and drain() are for fibers and may suspend; try_submit() also for
// callbacks on the scheduler's stack; cancel() and stats() for any thread. The destructor asserts
// that drain() has returned. Order: jobs begin in the order of submission, and end in any (but with
// one worker). Cost of a job without a context switch: about 60 ns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/inline_function.h"
#include "base/limits.h"
#include "sync/channel.h"
#include "sync/group.h"

namespace sluice::sync {

class WorkerPool {
  public:
    struct Options {
        unsigned workers = 1;         // fibers, so jobs under way (or batches, on blocking threads)
        std::size_t queue = 64;       // jobs that wait
        unsigned blocking_batch = 0;  // 0: jobs run on the workers' fibers; else 1 to
                                      // limits::kWorkerPoolBatchMax
        const char* name = "pool worker";
    };
    struct Stats {
        std::uint64_t submitted = 0;
        std::uint64_t completed = 0;  // whatever their result
        std::uint64_t dropped = 0;    // destroyed without being run, after the end of the context
        std::uint64_t queued = 0;     // wait now
    };

    WorkerPool(const Context* parent, Options options);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Ends with the parent, at the first error, and at cancel(). Jobs get it as their argument.
    const Context& context() const noexcept { return group_.context(); }

    // Suspends while the queue is full, until `context` or the pool's own ends (their error; the
    // job has been destroyed). kFailedPrecondition: drain() has begun.
    template <class F>
    Status submit(F fn, const Context& context = Context::background()) {
        return enqueue(wrap(std::move(fn)), context);
    }
    // kResourceExhausted instead of waiting.
    template <class F>
    Status try_submit(F fn) {
        return try_enqueue(wrap(std::move(fn)));
    }

    // Jobs that wait are dropped; running ones see their context's end. drain() is still due. Any
    // thread.
    void cancel(std::string_view cause = "context canceled") { group_.cancel(cause); }

    // Accepts no more jobs, waits until all have run or been dropped and the workers have ended.
    // The first error of a job; else, if jobs were dropped, why the context ended.
    Status drain();

    Stats stats() const noexcept;

  private:
    using Job = InlineFunction<Status(const Context&), limits::kJobClosureBytes>;

    struct CloseOnEnd {
        Channel<Job>& jobs;
        void operator()() const noexcept { jobs.close(); }
    };

    template <class F>
    static Job wrap(F fn) {
        if constexpr (std::is_void_v<std::invoke_result_t<F&, const Context&>>) {
            return Job([body = std::move(fn)](const Context& context) mutable {
                body(context);
                return Status();
            });
        } else {
            return Job(std::move(fn));
        }
    }

    Status enqueue(Job job, const Context& context);
    Status try_enqueue(Job job);
    Status refusal() const;
    void work();
    void work_on_threads();
    bool run(Job job, bool ended);
    void record_error(const Error& error);

    const Options options_;
    Channel<Job> jobs_;
    Group group_;
    OnEnd<CloseOnEnd> close_on_end_;
    std::atomic<std::uint64_t> submitted_{0};  // relaxed, as the next two: statistics
    std::atomic<std::uint64_t> completed_{0};
    std::atomic<std::uint64_t> dropped_{0};
    mutable SpinLock lock_;
    std::optional<Error> first_error_ SLUICE_GUARDED_BY(lock_);
};

}  // namespace sluice::sync
