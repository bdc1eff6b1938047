// Singleflight: of those who ask for the same key at the same time, one does the work and the
// others get its result. Against a thundering herd on a cache miss, a token, a name lookup.
//
//   sync::Singleflight<std::string, SharedBytes> reads;
//   Result<SharedBytes> block = reads.run(name, context, [&] { return read_block(name, context);
//   });
//
// The first caller of a key runs fn() on its own fiber; who comes before it has returned waits and
// gets a copy of the result, value or error. It is no cache: a call after that runs fn() anew.
//
// Cancellation. Everybody gives up by their own context only:
//   - a waiter whose context ends goes away with kCancelled or kDeadlineExceeded; the work goes on;
//   - when the *runner's* context has ended and fn() returned that error, it is the runner's
//     affair: the waiters do not get it, one of them runs its own fn() instead.
// All other errors are shared. fn must not throw and must not run() the same key of the same
// object, which would wait for itself.
//
// Fibers only; run() suspends. No allocation but by copies of Value (take a SharedBytes or the
// like). It must outlive its calls. Cost without company: two spin locks, about 20 ns. It is the
// idea of Go's x/sync/singleflight; there a cancelled runner's error hits all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/result.h"
#include "base/spin_lock.h"
#include "sync/context.h"
#include "sync/wait_list.h"

namespace sluice::sync {

template <class Key, class Value, class Hash = std::hash<Key>>
class Singleflight {
  public:
    Singleflight() = default;
    Singleflight(const Singleflight&) = delete;
    Singleflight& operator=(const Singleflight&) = delete;
    ~Singleflight() {
        for (Bucket& bucket : buckets_) {
            SpinGuard guard(bucket.lock);
            SLUICE_CHECK(bucket.calls == nullptr);
        }
    }

    // F: Result<Value>(). *shared, if not null: whether another caller ran it.
    template <class F>
    Result<Value> run(const Key& key, const Context& context, F&& fn, bool* shared = nullptr) {
        if (shared != nullptr) *shared = false;
        Bucket& bucket = buckets_[Hash{}(key) % buckets_.size()];
        for (;;) {
            Call call(key);
            Waiter waiter;
            Node node(waiter);
            Call* const running = join_or_begin(bucket, call, node);
            if (running == nullptr) return lead(bucket, call, context, std::forward<F>(fn));
            if (waiter.wait(context, rt::WaitReason::kCondition, this) == Waiter::kCancelled) {
                SpinGuard guard(bucket.lock);
                // Linked: `running` has not ended. (Its end unlinks all under the lock.)
                if (node.linked) running->waiters.remove(node);
                return std::unexpected(context.status().error());
            }
            if (!node.result.has_value()) continue;  // the runner was cancelled
            if (shared != nullptr) *shared = true;
            return std::move(*node.result);
        }
    }

    // Who asks for the key from now on does not join the call under way, but begins a new one: for
    // a key whose value has just changed. Any thread.
    void forget(const Key& key) noexcept {
        Bucket& bucket = buckets_[Hash{}(key) % buckets_.size()];
        SpinGuard guard(bucket.lock);
        for (Call* call = bucket.calls; call != nullptr; call = call->next) {
            if (call->key == key) call->forgotten = true;
        }
    }

  private:
    struct Node final : WaitNode {
        explicit Node(Waiter& owner) noexcept : WaitNode(owner) {}
        std::optional<Result<Value>> result;  // written by the runner between claim and notify
    };
    // Lies in the runner's frame, as its key does.
    struct Call {
        explicit Call(const Key& its_key) noexcept : key(its_key) {}
        const Key& key;
        Call* next = nullptr;
        bool forgotten = false;
        WaitList waiters;
    };
    struct Bucket {
        SpinLock lock;
        Call* calls SLUICE_GUARDED_BY(lock) = nullptr;
    };

    // The call to wait for, joined by `node`; or nullptr: `call` has been entered, it is ours.
    static Call* join_or_begin(Bucket& bucket, Call& call, Node& node) {
        SpinGuard guard(bucket.lock);
        for (Call* other = bucket.calls; other != nullptr; other = other->next) {
            if (other->forgotten || !(other->key == call.key)) continue;
            other->waiters.push_back(node);
            return other;
        }
        call.next = bucket.calls;
        bucket.calls = &call;
        return nullptr;
    }

    template <class F>
    static Result<Value> lead(Bucket& bucket, Call& call, const Context& context, F&& fn) {
        Result<Value> result = std::forward<F>(fn)();
        WaitList claimed;
        {
            SpinGuard guard(bucket.lock);
            Call** link = &bucket.calls;
            while (*link != &call) link = &(*link)->next;
            *link = call.next;
            call.waiters.claim_all(claimed);
        }
        const bool own_end = !result.has_value() && ends_a_wait(result.error()) && context.ended();
        while (WaitNode* waiting = claimed.front()) {
            claimed.remove(*waiting);
            // Claimed and not notified: its frame cannot go away.
            if (!own_end) static_cast<Node*>(waiting)->result.emplace(result);
            waiting->waiter->notify();
        }
        return result;
    }

    static bool ends_a_wait(const Error& error) noexcept {
        return error.code() == Code::kCancelled || error.code() == Code::kDeadlineExceeded;
    }

    std::array<Bucket, limits::kSingleflightBuckets> buckets_;
};

}  // namespace sluice::sync
