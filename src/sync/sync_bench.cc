// Costs of the layer, on fibers: ./build/release/src/sync/sync_bench. docs/sync.md has the table.
#include <benchmark/benchmark.h>

#include <array>

#include "rt/runtime.h"
#include "sync/event.h"
#include "sync/group.h"
#include "sync/mutex.h"
#include "sync/object_pool.h"
#include "sync/run_testing.h"
#include "sync/rw_mutex.h"
#include "sync/select.h"
#include "sync/singleflight.h"
#include "sync/worker_pool.h"

namespace sluice::sync {
namespace {

void BM_Yield(benchmark::State& state) {
    run_on(1, [&] {
        for (auto _ : state) rt::yield();
    });
}
BENCHMARK(BM_Yield);

void BM_MutexUncontended(benchmark::State& state) {
    run_on(1, [&] {
        Mutex mutex;
        for (auto _ : state) {
            MutexGuard guard(mutex);
        }
    });
}
BENCHMARK(BM_MutexUncontended);

// Fibers on several workers that take turns; time of one lock and unlock.
void BM_MutexContended(benchmark::State& state) {
    run_on(static_cast<unsigned>(state.range(0)), [&] {
        Mutex mutex;
        std::int64_t count = 0;
        constexpr int kFibers = 8;
        constexpr int kEach = 1'000;
        for (auto _ : state) {
            Group group(nullptr);
            for (int f = 0; f < kFibers; ++f) {
                group.spawn([&] {
                    for (int i = 0; i < kEach; ++i) {
                        MutexGuard guard(mutex);
                        ++count;
                    }
                });
            }
            (void)group.wait();
        }
        state.SetItemsProcessed(state.iterations() * kFibers * kEach);
        benchmark::DoNotOptimize(count);
    });
}
BENCHMARK(BM_MutexContended)->Arg(1)->Arg(2)->UseRealTime();

// The mutex is held across a suspension, so that each lock parks its fiber: the slow path, with two
// switches and a yield.
void BM_MutexParks(benchmark::State& state) {
    run_on(1, [&] {
        Mutex mutex;
        bool stop = false;
        Group group(nullptr);
        const auto turn = [&mutex] {
            MutexGuard guard(mutex);
            rt::yield();
        };
        group.spawn([&] {
            while (!stop) turn();
        });
        for (auto _ : state) turn();
        stop = true;
        (void)group.wait();
    });
}
BENCHMARK(BM_MutexParks);

void BM_ChannelBufferedPair(benchmark::State& state) {
    run_on(1, [&] {
        Channel<int> channel(1024);
        for (auto _ : state) {
            channel.send(1);
            benchmark::DoNotOptimize(channel.receive());
        }
    });
}
BENCHMARK(BM_ChannelBufferedPair);

// One message there and one back: two transfers, two switches.
void BM_ChannelPingPong(benchmark::State& state) {
    run_on(static_cast<unsigned>(state.range(0)), [&] {
        Channel<int> there;
        Channel<int> back;
        Group group(nullptr);
        group.spawn([&] {
            while (auto element = there.receive()) back.send(*element);
        });
        for (auto _ : state) {
            there.send(1);
            benchmark::DoNotOptimize(back.receive());
        }
        there.close();
        (void)group.wait();
    });
}
BENCHMARK(BM_ChannelPingPong)->Arg(1)->Arg(2)->UseRealTime();

void BM_SelectReadyOfTwo(benchmark::State& state) {
    run_on(1, [&] {
        Channel<int> a(1);
        Channel<int> b(1);
        std::optional<int> target;
        for (auto _ : state) {
            a.send(1);
            benchmark::DoNotOptimize(select({receive_case(a, target), receive_case(b, target)}));
        }
    });
}
BENCHMARK(BM_SelectReadyOfTwo);

void BM_SelectPingPong(benchmark::State& state) {
    run_on(static_cast<unsigned>(state.range(0)), [&] {
        Channel<int> there;
        Channel<int> back;
        Channel<int> never;
        Group group(nullptr);
        group.spawn([&] {
            std::optional<int> element;
            std::optional<int> none;
            for (;;) {
                const Selected got =
                    select({receive_case(there, element), receive_case(never, none)});
                if (got.closed) return;
                back.send(*element);
            }
        });
        std::optional<int> element;
        std::optional<int> none;
        for (auto _ : state) {
            there.send(1);
            benchmark::DoNotOptimize(
                select({receive_case(back, element), receive_case(never, none)}));
        }
        there.close();
        (void)group.wait();
    });
}
BENCHMARK(BM_SelectPingPong)->Arg(1)->Arg(2)->UseRealTime();

void BM_ContextCancel(benchmark::State& state) {
    run_on(1, [&] {
        Context root(nullptr);
        for (auto _ : state) {
            Context child(&root);
            child.cancel();
        }
    });
}
BENCHMARK(BM_ContextCancel);

void BM_ContextDeadlineUnused(benchmark::State& state) {
    run_on(1, [&] {
        Context root(nullptr);
        const TimeNs deadline_ns = deadline_after(3600 * kSecond);
        for (auto _ : state) {
            Context child(&root, deadline_ns);
            benchmark::DoNotOptimize(&child);
        }
    });
}
BENCHMARK(BM_ContextDeadlineUnused);

// A ping-pong whose waits are all under a deadline: shows what a wait pays for its context.
void BM_ChannelPingPongWithDeadline(benchmark::State& state) {
    run_on(1, [&] {
        Channel<int> there;
        Channel<int> back;
        Context context(nullptr, deadline_after(3600 * kSecond));
        Group group(nullptr);
        group.spawn([&] {
            while (auto element = there.receive(context)) {
                if (!back.send(int{*element}, context)) return;
            }
        });
        for (auto _ : state) {
            (void)there.send(1, context);
            benchmark::DoNotOptimize(back.receive(context));
        }
        there.close();
        (void)group.wait();
    });
}
BENCHMARK(BM_ChannelPingPongWithDeadline);

void BM_GroupSpawnAndJoin(benchmark::State& state) {
    run_on(1, [&] {
        const std::int64_t batch = state.range(0);
        for (auto _ : state) {
            Group group(nullptr);
            for (std::int64_t i = 0; i < batch; ++i) group.spawn([] {});
            (void)group.wait();
        }
        state.SetItemsProcessed(state.iterations() * batch);
    });
}
BENCHMARK(BM_GroupSpawnAndJoin)->Arg(1)->Arg(100);

void BM_ObjectPoolGetPut(benchmark::State& state) {
    run_on(1, [&] {
        ObjectPool<std::array<std::byte, 16 << 10>> pool(rt::Runtime::current());
        for (auto _ : state) {
            const auto object = pool.get();
            benchmark::DoNotOptimize((*object)[0] = std::byte{1});
        }
    });
}
BENCHMARK(BM_ObjectPoolGetPut);

void BM_RwMutexRead(benchmark::State& state) {
    run_on(1, [&] {
        RwMutex mutex;
        for (auto _ : state) {
            ReadGuard guard(mutex);
        }
    });
}
BENCHMARK(BM_RwMutexRead);

void BM_SingleflightAlone(benchmark::State& state) {
    run_on(1, [&] {
        Singleflight<int, int> flights;
        for (auto _ : state) {
            benchmark::DoNotOptimize(
                flights.run(1, Context::background(), [] { return Result<int>(1); }));
        }
    });
}
BENCHMARK(BM_SingleflightAlone);

void BM_WorkerPoolJob(benchmark::State& state) {
    run_on(1, [&] {
        WorkerPool pool(nullptr, {.workers = 4, .queue = 256});
        std::uint64_t sum = 0;
        for (auto _ : state) (void)pool.submit([&sum](const Context&) { ++sum; });
        (void)pool.drain();
        benchmark::DoNotOptimize(sum);
    });
}
BENCHMARK(BM_WorkerPoolJob);

}  // namespace
}  // namespace sluice::sync
