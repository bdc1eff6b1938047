#include "sync/worker_pool.h"

#include <vector>

#include "base/check.h"
#include "rt/blocking.h"

namespace sluice::sync {

WorkerPool::WorkerPool(const Context* parent, Options options)
    : options_(options),
      jobs_(options.queue),
      group_(parent),
      close_on_end_(group_.context(), CloseOnEnd{jobs_}) {
    SLUICE_CHECK(options.workers > 0 && options.queue > 0);
    SLUICE_CHECK(options.blocking_batch <= limits::kWorkerPoolBatchMax);
    for (unsigned i = 0; i < options.workers; ++i) group_.spawn([this] { work(); }, options.name);
}

WorkerPool::~WorkerPool() {
    SLUICE_CHECK(jobs_.closed());
    SLUICE_CHECK(group_.running() == 0 && jobs_.size() == 0);
}

Status WorkerPool::enqueue(Job job, const Context& context) {
    const Status sent = jobs_.send(std::move(job), context);
    if (!sent) return sent.error().code() == Code::kFailedPrecondition ? refusal() : sent;
    submitted_.fetch_add(1, std::memory_order_relaxed);
    return {};
}

Status WorkerPool::try_enqueue(Job job) {
    switch (jobs_.try_send(std::move(job))) {
        case ChannelResult::kDone:
            submitted_.fetch_add(1, std::memory_order_relaxed);
            return {};
        case ChannelResult::kWouldWait:
            return fail(Code::kResourceExhausted, "worker pool: the queue is full");
        default:
            return refusal();
    }
}

// Why the queue is closed.
Status WorkerPool::refusal() const {
    SLUICE_TRY(context().status());
    return fail(Code::kFailedPrecondition, "worker pool: no more jobs, it is being drained");
}

void WorkerPool::work() {
    if (options_.blocking_batch > 0) return work_on_threads();
    while (std::optional<Job> job = jobs_.receive()) {
        (void)run(std::move(*job), context().ended());
    }
}

void WorkerPool::work_on_threads() {
    std::vector<Job> batch;
    batch.reserve(options_.blocking_batch);
    while (std::optional<Job> job = jobs_.receive()) {
        do {
            batch.push_back(std::move(*job));
            job.reset();
        } while (batch.size() < options_.blocking_batch &&
                 jobs_.try_receive(job) == ChannelResult::kDone);
        // A deadline's clock belongs to the runtime: it is looked at here, not on the thread.
        bool ended = context().ended();
        rt::blocking([&] {
            for (Job& next : batch) ended = !run(std::move(next), ended) || ended;
        });
        batch.clear();
    }
}

// False if the job has failed. It is destroyed in any case.
bool WorkerPool::run(Job job, bool ended) {
    if (ended) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    const Status status = job(context());
    completed_.fetch_add(1, std::memory_order_relaxed);
    if (!status) record_error(status.error());
    return status.has_value();
}

// Before the context's end can make other jobs fail: theirs come second.
void WorkerPool::record_error(const Error& error) {
    {
        SpinGuard guard(lock_);
        if (first_error_.has_value()) return;
        first_error_.emplace(error);
    }
    group_.cancel(error);
}

Status WorkerPool::drain() {
    jobs_.close();
    (void)group_.wait();  // the workers themselves return no errors
    SLUICE_CHECK(jobs_.size() == 0);
    {
        SpinGuard guard(lock_);
        if (first_error_.has_value()) return fail(*first_error_);
    }
    if (dropped_.load(std::memory_order_relaxed) > 0) return context().status();
    return {};
}

WorkerPool::Stats WorkerPool::stats() const noexcept {
    return {.submitted = submitted_.load(std::memory_order_relaxed),
            .completed = completed_.load(std::memory_order_relaxed),
            .dropped = dropped_.load(std::memory_order_relaxed),
            .queued = jobs_.size()};
}

}  // namespace sluice::sync
