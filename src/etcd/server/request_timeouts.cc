#include "etcd/server/request_timeouts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "etcd/errors.h"
#include "rt/current_worker.h"
#include "rt/fiber.h"
#include "rt/worker.h"

namespace sluice::etcd {

RequestTimeouts::Pending::~Pending() {
    SLUICE_CHECK(!added_);
}

RequestTimeouts::RequestTimeouts(const Clock& clock, const TickClock& ticks, TimeNs timeout_ns,
                                 unsigned worker_slots)
    : clock_(clock),
      ticks_(ticks),
      timeout_ns_(timeout_ns),
      shard_count_(worker_slots),
      shards_(std::make_unique<Shard[]>(worker_slots)) {
    SLUICE_CHECK(worker_slots > 0 && timeout_ns > 0);
}

RequestTimeouts::~RequestTimeouts() {
    for (unsigned i = 0; i < shard_count_; ++i) {
        SpinGuard guard(shards_[i].lock);
        SLUICE_CHECK(shards_[i].oldest == nullptr && shards_[i].newest == nullptr);
    }
    SLUICE_CHECK(abandoned() == 0);
}

void RequestTimeouts::add(Pending& pending, grpc::CallRef call) {
    SLUICE_ASSERT(!pending.added_ && call);
    pending.since_ = call->account.last();
    pending.call_ = std::move(call);
    pending.shard_ = rt::current_worker()->index();
    SLUICE_ASSERT(pending.shard_ < shard_count_);
    pending.added_ = true;
    Shard& shard = shards_[pending.shard_];
    {
        SpinGuard guard(shard.lock);
        pending.previous_ = shard.newest;
        (shard.newest ? shard.newest->next_ : shard.oldest) = &pending;
        shard.newest = &pending;
    }
    if (watching_.load(std::memory_order_relaxed)) return;
    if (!watching_.exchange(true, std::memory_order_relaxed)) wanted_.signal();
}

void RequestTimeouts::unlink(Shard& shard, Pending& pending) {
    (pending.previous_ ? pending.previous_->next_ : shard.oldest) = pending.next_;
    (pending.next_ ? pending.next_->previous_ : shard.newest) = pending.previous_;
    pending.next_ = pending.previous_ = nullptr;
}

grpc::CallRef RequestTimeouts::take(Pending& pending) {
    SLUICE_ASSERT(pending.added_);
    Shard& shard = shards_[pending.shard_];
    grpc::CallRef call;
    {
        SpinGuard guard(shard.lock);
        pending.added_ = false;
        call = std::move(pending.call_);
        if (call) unlink(shard, pending);
    }
    if (!call) abandoned_.fetch_sub(1, std::memory_order_relaxed);
    return call;
}

TimeNs RequestTimeouts::sweep(Shard& shard) {
    for (;;) {
        std::array<grpc::CallRef, limits::kRequestTimeoutBatch> late;
        std::size_t count = 0;
        TimeNs next = kNever;
        {
            SpinGuard guard(shard.lock);
            const Ticks now = ticks_.now();
            while (Pending* const oldest = shard.oldest) {
                next = timeout_ns_ - ticks_.to_ns(now - oldest->since_);
                if (next > 0 || count == late.size()) break;
                unlink(shard, *oldest);
                late[count++] = std::move(oldest->call_);
                next = kNever;
            }
            // Before take() can see that the call is gone.
            abandoned_.fetch_add(count, std::memory_order_relaxed);
        }
        for (std::size_t i = 0; i < count; ++i) {
            late[i]->account.charge(Stage::kLogQueue, ticks_.now());
            late[i]->finish(errors::kTimeout.error());
        }
        timed_out_.fetch_add(count, std::memory_order_relaxed);
        if (next > 0) return next;
        rt::checkpoint();
    }
}

TimeNs RequestTimeouts::sweep_all() {
    TimeNs next = kNever;
    for (unsigned i = 0; i < shard_count_; ++i) next = std::min(next, sweep(shards_[i]));
    return next;
}

void RequestTimeouts::run(const sync::Context& context) {
    while (wanted_.wait(context)) {
        for (;;) {
            TimeNs next = sweep_all();
            if (next == kNever) {
                watching_.store(false, std::memory_order_relaxed);
                // One that came before the store has not woken anybody: look again.
                next = sweep_all();
                if (next == kNever || watching_.exchange(true, std::memory_order_relaxed)) break;
            }
            const sync::Context until(&context, clock_.now_ns() + std::max(next, kMillisecond));
            sync::Notify never;
            (void)never.wait(until);
            if (context.ended()) return;
        }
    }
}

}  // namespace sluice::etcd
