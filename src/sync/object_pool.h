// ObjectPool<T>: used objects kept for the next user, in a cache of each processor. For what is
// costly to make and made often: parsers, arenas, scratch tables. Buffers have io/buffer_pool.h.
//
//   sync::ObjectPool<Arena> arenas(runtime);
//   auto arena = arenas.get();              // ObjectPool<Arena>::Handle, a unique_ptr
//   parse(bytes, *arena);                   // its destructor gives the object back
//
// An object comes as its last user left it; if T has `void recycle() noexcept` that is called when
// it is given back. Each worker keeps up to `local_max` objects, last in first out; above that,
// half of them move to a depot that all workers share, from which an empty cache is refilled. The
// depot keeps up to `shared_max`; what is more is destroyed. So objects taken here and given back
// there come round in batches, and the memory kept is bounded.
//
// get() and giving back: on any thread, fiber or scheduler's stack; they never suspend. On a worker
// they take no lock (a fiber is not interrupted between two suspensions), about 5 ns together; on
// other threads, the depot's lock. A miss costs a `make`. trim() frees the depot at once, and each
// cache at its worker's next use of the pool. Any thread. If the runtime has a MemoryLimit the pool
// obeys it, and a cache is freed at the latest before its worker sleeps.
//
// The pool belongs to one runtime, which must outlive it, and must outlive its objects: the
// destructor asserts it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory_limit.h"
#include "base/spin_lock.h"
#include "rt/runtime.h"

namespace sluice::sync {

struct PoolStats {
    std::uint64_t hits = 0;      // taken from a cache or from the depot
    std::uint64_t misses = 0;    // newly made
    std::uint64_t dropped = 0;   // given back and destroyed, since there were enough
    std::uint64_t borrowed = 0;  // out now
    std::uint64_t kept = 0;      // free now
    // Between 0 and 1; 1 if nothing was asked for.
    double hit_rate() const noexcept {
        const std::uint64_t all = hits + misses;
        return all == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(all);
    }
};

template <class T>
class ObjectPool final : public MemoryLimit::Cache {
  public:
    struct Options {
        std::size_t local_max = limits::kPoolLocalObjects;
        std::size_t shared_max = limits::kPoolSharedObjects;
        // Any thread, several at a time.
        std::unique_ptr<T> (*make)() = [] { return std::make_unique<T>(); };
    };
    struct Return {
        ObjectPool* pool = nullptr;
        void operator()(T* object) const noexcept { pool->put(std::unique_ptr<T>(object)); }
    };
    using Handle = std::unique_ptr<T, Return>;

    explicit ObjectPool(rt::Runtime& runtime, Options options = {})
        : runtime_(runtime), options_(options), caches_(runtime.workers()) {
        SLUICE_CHECK(options.local_max >= 2);
        for (Cache& cache : caches_) cache.objects.reserve(options.local_max);
        {
            SpinGuard guard(lock_);
            depot_.objects.reserve(options.shared_max);
        }
        if (runtime_.memory() != nullptr) runtime_.memory()->add(*this);
    }
    ~ObjectPool() {
        if (runtime_.memory() != nullptr) runtime_.memory()->remove(*this);
        SLUICE_CHECK(stats().borrowed == 0);
    }
    ObjectPool(const ObjectPool&) = delete;
    ObjectPool& operator=(const ObjectPool&) = delete;

    Handle get() {
        const unsigned worker = runtime_.worker_index();
        std::unique_ptr<T> object =
            worker < caches_.size() ? get_here(caches_[worker]) : get_shared();
        if (!object) object = options_.make();
        return Handle(object.release(), Return{this});
    }

    void trim() {
        epoch_.fetch_add(1, std::memory_order_relaxed);
        Objects freed;
        freed.reserve(options_.shared_max);
        SpinGuard guard(lock_);
        depot_.objects.swap(freed);
        depot_.kept.store(0, std::memory_order_relaxed);
    }

    void shrink() noexcept override {
        trim();
        const unsigned worker = runtime_.worker_index();
        if (worker < caches_.size()) obey_trim(caches_[worker]);
    }

    // Sums; not exact while others use the pool.
    PoolStats stats() const noexcept {
        PoolStats sum;
        std::uint64_t returns = 0;
        const auto add = [&](const Cache& cache) {
            sum.hits += cache.hits.load(std::memory_order_relaxed);
            sum.misses += cache.misses.load(std::memory_order_relaxed);
            sum.dropped += cache.dropped.load(std::memory_order_relaxed);
            sum.kept += cache.kept.load(std::memory_order_relaxed);
            returns += cache.returns.load(std::memory_order_relaxed);
        };
        for (const Cache& cache : caches_) add(cache);
        {
            SpinGuard guard(lock_);
            add(depot_);
        }
        sum.borrowed = sum.hits + sum.misses - returns;
        return sum;
    }

  private:
    using Objects = std::vector<std::unique_ptr<T>>;
    // Written by its worker only (the depot's: under lock_), the counters read by any.
    struct alignas(64) Cache {
        Objects objects;
        std::uint32_t epoch = 0;
        std::atomic<std::uint64_t> hits{0}, misses{0}, returns{0}, dropped{0}, kept{0};
    };

    // One writer: no read-modify-write needed.
    static void add(std::atomic<std::uint64_t>& counter) noexcept {
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    static void note_kept(Cache& cache) noexcept {
        cache.kept.store(cache.objects.size(), std::memory_order_relaxed);
    }
    static std::unique_ptr<T> take_last(Cache& cache) noexcept {
        add(cache.objects.empty() ? cache.misses : cache.hits);
        if (cache.objects.empty()) return nullptr;
        std::unique_ptr<T> object = std::move(cache.objects.back());
        cache.objects.pop_back();
        note_kept(cache);
        return object;
    }

    std::unique_ptr<T> get_here(Cache& cache) {
        if (cache.epoch != epoch_.load(std::memory_order_relaxed)) [[unlikely]]
            obey_trim(cache);
        if (cache.objects.empty()) [[unlikely]]
            refill(cache);
        return take_last(cache);
    }

    std::unique_ptr<T> get_shared() {
        SpinGuard guard(lock_);
        return take_last(depot_);
    }

    void put(std::unique_ptr<T> object) noexcept {
        if constexpr (requires { object->recycle(); }) object->recycle();
        const unsigned worker = runtime_.worker_index();
        if (worker >= caches_.size()) return put_shared(std::move(object));
        Cache& cache = caches_[worker];
        if (cache.epoch != epoch_.load(std::memory_order_relaxed)) [[unlikely]]
            obey_trim(cache);
        if (cache.objects.size() == options_.local_max) [[unlikely]]
            spill(cache);
        add(cache.returns);
        cache.objects.push_back(std::move(object));
        note_kept(cache);
    }

    void put_shared(std::unique_ptr<T> object) noexcept {
        SpinGuard guard(lock_);
        add(depot_.returns);
        if (depot_.objects.size() < options_.shared_max) {
            depot_.objects.push_back(std::move(object));
            return note_kept(depot_);
        }
        add(depot_.dropped);
    }

    void refill(Cache& cache) noexcept {
        if (depot_.kept.load(std::memory_order_relaxed) == 0) return;
        SpinGuard guard(lock_);
        const std::size_t some = std::min(options_.local_max / 2, depot_.objects.size());
        move_last(depot_.objects, cache.objects, some);
        note_kept(depot_);
    }

    // Makes room in a full cache.
    void spill(Cache& cache) noexcept {
        const std::size_t half = options_.local_max / 2;
        {
            SpinGuard guard(lock_);
            const std::size_t room = options_.shared_max - depot_.objects.size();
            move_last(cache.objects, depot_.objects, std::min(half, room));
            note_kept(depot_);
        }
        if (cache.objects.size() == options_.local_max) {
            cache.objects.pop_back();  // the depot is full
            add(cache.dropped);
        }
    }

    static void move_last(Objects& from, Objects& to, std::size_t count) noexcept {
        for (; count > 0; --count) {
            to.push_back(std::move(from.back()));  // capacity is there
            from.pop_back();
        }
    }

    void obey_trim(Cache& cache) noexcept {
        cache.epoch = epoch_.load(std::memory_order_relaxed);
        cache.objects.clear();
        note_kept(cache);
    }

    rt::Runtime& runtime_;
    const Options options_;
    std::vector<Cache> caches_;
    std::atomic<std::uint32_t> epoch_{0};
    mutable SpinLock lock_;
    Cache depot_;  // guarded by lock_, but for reads of its counters
};

}  // namespace sluice::sync
