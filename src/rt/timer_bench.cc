// Timers: add and cancel among many live ones, as connections with idle deadlines do.
//   build/release/src/rt/rt_bench --benchmark_filter=Timer
#include <benchmark/benchmark.h>

#include <memory>
#include <random>

#include "rt/runtime.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

// `live` timers, minutes to an hour ahead, at random; all are cancelled at the end.
class Live {
  public:
    explicit Live(std::size_t live)
        : count_(live),
          timers_(std::make_unique<Timer[]>(live)),
          now_ns_(Runtime::current().clock().now_ns()) {
        for (std::size_t i = 0; i < live; ++i) timers_[i].arm(far(), [](Timer&) {});
    }
    ~Live() {
        for (std::size_t i = 0; i < count_; ++i) timers_[i].cancel();
    }
    TimeNs far() {
        return now_ns_ + 60 * kSecond + static_cast<TimeNs>(random_() % 3'600'000) * kMillisecond;
    }
    Timer& any() { return timers_[random_() % count_]; }
    TimeNs now_ns() const { return now_ns_; }

  private:
    const std::size_t count_;
    const std::unique_ptr<Timer[]> timers_;
    std::mt19937_64 random_{1};
    const TimeNs now_ns_;
};

// A request's deadline: later than what is armed, and cancelled at once.
void BM_TimerAddCancelNew(benchmark::State& state) {
    Runtime runtime({.workers = 1});
    runtime.run([&] {
        Live live(static_cast<std::size_t>(state.range(0)));
        Timer timer;
        for (auto _ : state) {
            timer.arm(live.now_ns() + 5 * kSecond, [](Timer&) {});
            timer.cancel();
        }
    });
}
BENCHMARK(BM_TimerAddCancelNew)->Arg(1)->Arg(10'000)->Arg(1'000'000);

// A connection's idle deadline is moved: any one of the live timers is cancelled and armed anew.
void BM_TimerMoveAny(benchmark::State& state) {
    Runtime runtime({.workers = 1});
    runtime.run([&] {
        Live live(static_cast<std::size_t>(state.range(0)));
        for (auto _ : state) {
            Timer& timer = live.any();
            timer.cancel();
            timer.arm(live.far(), [](Timer&) {});
        }
    });
}
BENCHMARK(BM_TimerMoveAny)->Arg(1)->Arg(10'000)->Arg(1'000'000);

}  // namespace
}  // namespace sluice::rt
