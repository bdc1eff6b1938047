// The rings against a ring under a mutex: 4,096 slots, messages of 64 bytes, threads that push as
// fast as they can, one that takes (R8). `p99_us` is how long a message was in the ring.
//   cmake --build --preset release --target sync_bench
//   build/release/src/sync/sync_bench --benchmark_filter=Ring
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "sync/mpmc_ring.h"
#include "sync/mpsc_ring.h"

namespace sluice::sync {
namespace {

constexpr std::size_t kSlots = 4'096;

struct Message {
    TimeNs pushed_ns = 0;  // of every 64th message; else 0
    std::array<std::byte, 56> payload;
};
static_assert(sizeof(Message) == 64);

// What one writes without thinking of it: a ring, std::mutex, no waiting.
class MutexRing {
  public:
    explicit MutexRing(std::size_t capacity) : ring_(capacity) {}
    bool try_push(Message&& message) {
        const std::lock_guard lock(mutex_);
        if (count_ == ring_.size()) return false;
        ring_[(head_ + count_++) % ring_.size()] = message;
        return true;
    }
    std::optional<Message> try_pop() {
        const std::lock_guard lock(mutex_);
        if (count_ == 0) return std::nullopt;
        --count_;
        return ring_[head_++ % ring_.size()];
    }

  private:
    std::mutex mutex_;
    std::vector<Message> ring_;
    std::size_t head_ = 0;
    std::size_t count_ = 0;
};

// The same with condition variables: the usual blocking queue.
class BlockingRing {
  public:
    explicit BlockingRing(std::size_t capacity) : ring_(capacity) {}
    bool try_push(Message&& message) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [&] { return count_ < ring_.size(); });
        ring_[(head_ + count_++) % ring_.size()] = message;
        lock.unlock();
        not_empty_.notify_one();
        return true;
    }
    std::optional<Message> try_pop() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [&] { return count_ > 0; });
        --count_;
        const Message message = ring_[head_++ % ring_.size()];
        lock.unlock();
        not_full_.notify_one();
        return message;
    }

  private:
    std::mutex mutex_;
    std::condition_variable not_full_;
    std::condition_variable not_empty_;
    std::vector<Message> ring_;
    std::size_t head_ = 0;
    std::size_t count_ = 0;
};

struct OneByOne {
    template <class Ring, class Sink>
    static std::size_t take(Ring& ring, Sink&& sink) {
        auto message = ring.try_pop();
        if (!message) return 0;
        sink(std::move(*message));
        return 1;
    }
};

struct Batches {
    template <class Ring, class Sink>
    static std::size_t take(Ring& ring, Sink&& sink) {
        return ring.pop_batch(sink, 256);
    }
};

template <class Ring, class Take>
void BM_Ring(benchmark::State& state) {
    const auto producers = static_cast<std::size_t>(state.range(0));
    SLUICE_CHECK(producers > 0);
    const std::size_t each = 600'000 / producers;
    const SystemClock clock;
    HdrHistogram in_ring;
    for (auto _ : state) {
        Ring ring(kSlots);
        std::vector<std::thread> threads;
        for (std::size_t p = 0; p < producers; ++p) {
            threads.emplace_back([&] {
                for (std::size_t i = 0; i < each; ++i) {
                    Message message;
                    message.payload.fill(std::byte(i));
                    message.pushed_ns = i % 64 == 0 ? clock.now_ns() : 0;
                    // A full ring leaves it. NOLINTNEXTLINE(bugprone-use-after-move)
                    while (!ring.try_push(std::move(message))) std::this_thread::yield();
                }
            });
        }
        const auto sink = [&](Message&& message) noexcept {
            benchmark::DoNotOptimize(message.payload[7]);
            if (message.pushed_ns == 0) return;
            in_ring.record(static_cast<std::uint64_t>(clock.now_ns() - message.pushed_ns));
        };
        for (std::size_t taken = 0; taken < each * producers;) {
            const std::size_t some = Take::take(ring, sink);
            if (some == 0) std::this_thread::yield();
            taken += some;
        }
        for (auto& thread : threads) thread.join();
    }
    const auto messages = static_cast<std::int64_t>(each * producers);
    state.SetItemsProcessed(state.iterations() * messages);
    state.SetBytesProcessed(state.iterations() * messages * 64);
    state.counters["p99_us"] = static_cast<double>(in_ring.percentile(99)) / 1e3;
}
#define SLUICE_RING_BENCH(...)      \
    BENCHMARK(BM_Ring<__VA_ARGS__>) \
        ->Arg(1)                    \
        ->Arg(3)                    \
        ->MeasureProcessCPUTime()   \
        ->UseRealTime()             \
        ->Unit(benchmark::kMillisecond)
SLUICE_RING_BENCH(MutexRing, OneByOne);
SLUICE_RING_BENCH(BlockingRing, OneByOne);
SLUICE_RING_BENCH(MpmcRing<Message>, OneByOne);
SLUICE_RING_BENCH(MpscRing<Message>, OneByOne);
SLUICE_RING_BENCH(MpscRing<Message>, Batches);

// One thread, nobody else: the bare cost of a push and a pop.
template <class Ring>
void BM_RingPair(benchmark::State& state) {
    Ring ring(kSlots);
    for (auto _ : state) {
        benchmark::DoNotOptimize(ring.try_push(Message{}));
        benchmark::DoNotOptimize(ring.try_pop());
    }
}
BENCHMARK(BM_RingPair<MutexRing>);
BENCHMARK(BM_RingPair<MpmcRing<Message>>);
BENCHMARK(BM_RingPair<MpscRing<Message>>);

}  // namespace
}  // namespace sluice::sync
