// Calls whose proposals are in the log, the oldest first, and etcd's answer to those that have
// waited too long: "etcdserver: request timed out". The proposal itself stays in the log and may
// still be applied, as in etcd.
//
// All calls have the same timeout, so a list in order of arrival is a queue of deadlines, and one
// fiber that sleeps until the front one's is enough: no timer is armed for a request, and none at
// all while nothing is pending. There is one list a worker, so that workers do not share a lock.
//
// add() and take(): any fiber of the runtime; neither suspends nor allocates; a spin lock and a few
// stores each. run(): the body of the one fiber. What is pending is bounded by
// limits::kProposalsMax.
//
//   struct PutProposal { RequestTimeouts::Pending pending; ... };
//   timeouts.add(proposal->pending, std::move(call));        // before it is proposed
//   ... applied ...
//   if (grpc::CallRef call = timeouts.take(proposal->pending)) call->finish(answer);
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/spin_lock.h"
#include "base/tick_clock.h"
#include "net/grpc/call.h"
#include "sync/context.h"
#include "sync/event.h"

namespace sluice::etcd {

class RequestTimeouts {
  public:
    // A call and its place in the queue. Whoever added it takes it before destroying it.
    class Pending {
      public:
        Pending() = default;
        Pending(const Pending&) = delete;
        Pending& operator=(const Pending&) = delete;
        ~Pending();

      private:
        friend class RequestTimeouts;
        grpc::CallRef call_;  // empty: it has timed out
        Ticks since_ = 0;
        Pending* next_ = nullptr;
        Pending* previous_ = nullptr;
        std::uint32_t shard_ = 0;
        bool added_ = false;
    };

    // Both clocks outlive this object. worker_slots: the runtime's.
    RequestTimeouts(const Clock& clock, const TickClock& ticks, TimeNs timeout_ns,
                    unsigned worker_slots);
    ~RequestTimeouts();

    // Its time runs from the account's last stamp.
    void add(Pending& pending, grpc::CallRef call);
    // The call; empty if it has been answered already.
    grpc::CallRef take(Pending& pending);

    // Answers what is late, until the context is cancelled. Suspends.
    void run(const sync::Context& context);

    TimeNs timeout_ns() const noexcept { return timeout_ns_; }
    std::uint64_t timed_out() const noexcept { return timed_out_.load(std::memory_order_relaxed); }
    // Timed out, and neither applied nor dropped yet.
    std::uint64_t abandoned() const noexcept { return abandoned_.load(std::memory_order_relaxed); }

  private:
    struct alignas(64) Shard {
        SpinLock lock;
        Pending* oldest SLUICE_GUARDED_BY(lock) = nullptr;
        Pending* newest SLUICE_GUARDED_BY(lock) = nullptr;
    };

    static void unlink(Shard& shard, Pending& pending) SLUICE_REQUIRES(shard.lock);
    // How long until the shard's oldest is due; answers what is. kNever: nothing pends.
    TimeNs sweep(Shard& shard);
    TimeNs sweep_all();

    const Clock& clock_;
    const TickClock& ticks_;
    const TimeNs timeout_ns_;
    const unsigned shard_count_;
    std::unique_ptr<Shard[]> shards_;
    // False: run() sleeps and add() wakes it. Relaxed but for the order that run() needs: it clears
    // the flag, then looks at every list under its lock, as add() fills it.
    std::atomic<bool> watching_{false};
    sync::Notify wanted_;
    std::atomic<std::uint64_t> timed_out_{0};
    std::atomic<std::uint64_t> abandoned_{0};
};

}  // namespace sluice::etcd
