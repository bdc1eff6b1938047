// What the scheduler's operations cost. docs/runtime.md has the numbers, and Go's for comparison.
#include <benchmark/benchmark.h>

#include "rt/baton_testing.h"
#include "rt/blocking.h"
#include "rt/runtime.h"
#include "rt/timer.h"
#include "rt/trace_ring.h"

namespace sluice::rt {
namespace {

// Runs the benchmark's loop as the main fiber of a runtime with so many workers.
template <class Body>
void in_runtime(unsigned workers, Body body) {
    Options options;
    options.workers = workers;
    Runtime runtime(std::move(options));
    runtime.run(body);
}

unsigned workers(const benchmark::State& state) {
    return static_cast<unsigned>(state.range(0));
}

// Two fibers take turns; one iteration is two switches through the scheduler.
void yield_between_two(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        bool stop = false;
        Baton stopped;
        spawn([&] {
            while (!stop) yield();
            stopped.post();
        });
        for (auto _ : state) yield();
        stop = true;
        stopped.wait();
    });
    state.counters["one_switch"] =
        benchmark::Counter(2.0 * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(yield_between_two)->Arg(1)->UseRealTime();

// A fiber that finds no other: out and in again.
void yield_alone(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        for (auto _ : state) yield();
    });
}
BENCHMARK(yield_alone)->Arg(1)->Arg(2)->UseRealTime();

void checkpoint_not_due(benchmark::State& state) {
    in_runtime(1, [&] {
        for (auto _ : state) checkpoint();
    });
}
BENCHMARK(checkpoint_not_due);

void spawn_and_join(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        Baton done;
        for (auto _ : state) {
            spawn([&done] { done.post(); });
            done.wait();
        }
    });
}
BENCHMARK(spawn_and_join)->Arg(1)->Arg(2)->UseRealTime();

void spawn_and_join_batch_of_100(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        Baton done;
        for (auto _ : state) {
            std::atomic<int> left = 100;
            for (int i = 0; i < 100; ++i) {
                spawn([&] {
                    if (left.fetch_sub(1) == 1) done.post();
                });
            }
            done.wait();
        }
    });
    state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(spawn_and_join_batch_of_100)->Arg(1)->Arg(2)->UseRealTime();

// Ask and answer: two posts, two parks, two switches.
void ping_pong(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        Baton asked;
        Baton answered;
        bool stop = false;
        spawn([&] {
            for (;;) {
                asked.wait();
                answered.post();
                if (stop) return;
            }
        });
        for (auto _ : state) {
            asked.post();
            answered.wait();
        }
        stop = true;
        asked.post();
        answered.wait();
    });
}
BENCHMARK(ping_pong)->Arg(1)->Arg(2)->UseRealTime();

void timer_arm_and_cancel(benchmark::State& state) {
    in_runtime(1, [&] {
        const auto others = static_cast<std::size_t>(state.range(0));
        std::vector<Timer> armed(others);
        const TimeNs later_ns = Runtime::current().clock().now_ns() + 3600 * kSecond;
        for (std::size_t i = 0; i < others; ++i) {
            armed[i].arm(later_ns + static_cast<TimeNs>(i), [](Timer&) {});
        }
        Timer timer;
        for (auto _ : state) {
            timer.arm(later_ns, [](Timer&) {});
            timer.cancel();
        }
        for (Timer& other : armed) other.cancel();
    });
}
BENCHMARK(timer_arm_and_cancel)->Arg(0)->Arg(10'000);

void trace_record(benchmark::State& state) {
    TraceRing ring(0);
    std::uint64_t number = 0;
    for (auto _ : state) {
        ring.record(TraceKind::kReady, number, number, number, WaitReason::kIo);
        ++number;
    }
}
BENCHMARK(trace_record);

void blocking_call(benchmark::State& state) {
    in_runtime(workers(state), [&] {
        for (auto _ : state) blocking([] {});
    });
}
BENCHMARK(blocking_call)->Arg(1)->Arg(2)->UseRealTime();

// One iteration: start so many fibers, let each park once, make all ready, let them end.
void park_many(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    in_runtime(1, [&] {
        for (auto _ : state) {
            FiberList parked;
            for (std::size_t i = 0; i < count; ++i) {
                spawn([&parked] {
                    park(WaitReason::kOther, [&parked](Fiber* fiber) {
                        parked.push_back(fiber);
                        return true;
                    });
                });
            }
            while (parked.size() < count) yield();
            ready_all(std::move(parked));
            yield();
        }
    });
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(park_many)->Arg(1'000)->Arg(100'000)->UseRealTime();

}  // namespace
}  // namespace sluice::rt
