// explore(): runs a small program of two to four model threads in every interleaving of their
// atomic operations, to show that a lock-free structure has no unlucky order of steps.
//
//   struct State { model::Atomic<int> count{0}; };
//   const auto report = model::explore([] {
//       auto state = std::make_shared<State>();
//       const auto add = [state] { state->count.fetch_add(1, std::memory_order_relaxed); };
//       return model::Program{{add, add}, [state] { model::expect(state->count.value() == 2); }};
//   });
//   EXPECT_EQ(report.failure, "");
//
// The structure under test is a template over its atomic type: std::atomic in the product,
// model::Atomic here. Each operation of a model::Atomic is a step before which any other thread may
// run. The search is depth first and exhaustive up to `preemptions_max` forced switches (most
// faults need two; CHESS, Musuvathi and Qadeer 2007). Programs must be finite: a thread that waits
// in a loop for another makes endless ones, so use try_ operations.
//
// Values are sequentially consistent, but orders are checked: model threads carry vector clocks,
// release and acquire join them, and a plain access that is not ordered after the last one by
// another thread is a failure (as in TSan, but in every interleaving). Plain data reports its
// accesses itself: model::Value does.
//
// Everything runs on the calling thread, the model threads on small stacks of their own. A
// failure's text ends with the schedule: which thread made each step.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sluice::model {

inline constexpr unsigned kThreadsMax = 4;

// Index 0 is whoever calls explore(): what happens before the threads start and after they end.
using VectorClock = std::array<std::uint32_t, kThreadsMax + 1>;

struct Program {
    std::vector<std::function<void()>> threads;
    std::function<void()> check;  // after all have ended
};

struct Bounds {
    unsigned preemptions_max = UINT32_MAX;
    std::uint64_t executions_max = 10'000'000;
};

struct Report {
    std::uint64_t executions = 0;
    bool complete = false;  // all interleavings within the bounds have been run
    std::string failure;    // empty: none. The search ends at the first.
};

Report explore(const std::function<Program()>& make, Bounds bounds = {});

// A failure of the running execution if not `condition`. In a thread or in check().
void expect(bool condition, const char* what = "expectation");

namespace detail {
// Another thread may run now.
void step();
// The running thread learns what `sync` carries; publishes what it knows. `keep`: a
// read-modify-write adds to what is there.
void acquire(const VectorClock& sync);
void release(VectorClock& sync, bool keep);
constexpr bool acquires(std::memory_order order) {
    return order != std::memory_order_relaxed && order != std::memory_order_release;
}
constexpr bool releases(std::memory_order order) {
    return order == std::memory_order_release || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
}
}  // namespace detail

// std::atomic's operations, each a step of its thread.
template <class T>
class Atomic {
  public:
    Atomic() = default;
    explicit Atomic(T value) : value_(value) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order order = std::memory_order_seq_cst) const {
        detail::step();
        if (detail::acquires(order)) detail::acquire(sync_);
        return value_;
    }
    void store(T value, std::memory_order order = std::memory_order_seq_cst) {
        detail::step();
        if (detail::releases(order)) {
            detail::release(sync_, false);
        } else {
            sync_ = {};
        }
        value_ = value;
    }
    T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
        return modify(order, [value](T) { return value; });
    }
    T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
        return modify(order, [value](T old) { return static_cast<T>(old + value); });
    }
    T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) {
        return modify(order, [value](T old) { return static_cast<T>(old - value); });
    }
    T fetch_and(T value, std::memory_order order = std::memory_order_seq_cst) {
        return modify(order, [value](T old) { return static_cast<T>(old & value); });
    }
    T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst) {
        return modify(order, [value](T old) { return static_cast<T>(old | value); });
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                                 std::memory_order failure) {
        detail::step();
        const bool equal = value_ == expected;
        if (detail::acquires(equal ? success : failure)) detail::acquire(sync_);
        if (equal && detail::releases(success)) detail::release(sync_, true);
        (equal ? value_ : expected) = equal ? desired : value_;
        return equal;
    }
    bool compare_exchange_strong(T& expected, T desired,
                                 std::memory_order order = std::memory_order_seq_cst) {
        const bool both = order == std::memory_order_acq_rel;
        return compare_exchange_strong(expected, desired, order,
                                       both ? std::memory_order_acquire : order);
    }
    // Never fails spuriously: that would only be one more turn of the caller's loop.
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
        return compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) {
        return compare_exchange_strong(expected, desired, order);
    }

    // Without a step: for check().
    T value() const { return value_; }

  private:
    template <class F>
    T modify(std::memory_order order, F change) {
        detail::step();
        if (detail::acquires(order)) detail::acquire(sync_);
        if (detail::releases(order)) detail::release(sync_, true);
        const T old = value_;
        value_ = change(old);
        return old;
    }

    T value_{};
    VectorClock sync_{};
};

// Tells the explorer of an access to plain memory; unordered ones are failures.
void reads(const void* address);
void writes(const void* address);

// Plain data that reports its accesses. Movable; a moved-from one holds -1.
class Value {
  public:
    Value() { writes(this); }
    explicit Value(int number) : number_(number) { writes(this); }
    Value(Value&& other) noexcept { take(other); }
    Value& operator=(Value&& other) noexcept {
        take(other);
        return *this;
    }
    ~Value() { writes(this); }
    int number() const {
        reads(this);
        return number_;
    }

  private:
    void take(Value& other) noexcept {
        writes(&other);
        writes(this);
        number_ = other.number_;
        other.number_ = -1;
    }

    int number_ = -1;
};

}  // namespace sluice::model
