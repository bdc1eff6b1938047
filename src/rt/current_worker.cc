#include "rt/current_worker.h"

#include <atomic>

#include "rt/outside_record.h"

extern "C" {
[[gnu::tls_model("initial-exec"), gnu::used]]
thread_local sluice::rt::OutsideRecord sluice_outside_record{};

// Names without a namespace: current_worker.h has them in instructions.
[[gnu::used]] thread_local sluice::rt::Worker* sluice_current_worker = nullptr;
[[gnu::used]] thread_local int sluice_fiber_budget = 0;
}

namespace sluice::rt {

[[gnu::noinline]] OutsideRecord& outside_record() noexcept {
    OutsideRecord* record = &sluice_outside_record;
    asm volatile("" : "+r"(record)::"memory");
    return *record;
}

[[gnu::noinline]] void set_current_worker(Worker* worker) noexcept {
    asm volatile("" : "+r"(worker)::"memory");
    sluice_current_worker = worker;
}

[[gnu::noinline]] int& thread_budget() noexcept {
    int* budget = &sluice_fiber_budget;
    asm volatile("" : "+r"(budget)::"memory");
    return *budget;
}

#if !defined(__x86_64__)

[[gnu::noinline]] Worker* current_worker() noexcept {
    Worker* worker = sluice_current_worker;
    asm volatile("" : "+r"(worker)::"memory");  // neither pure nor foldable
    return worker;
}

[[gnu::noinline]] void set_budget(int calls) noexcept {
    asm volatile("" : "+r"(calls)::"memory");
    std::atomic_ref(sluice_fiber_budget).store(calls, std::memory_order_relaxed);
}

[[gnu::noinline]] bool use_budget() noexcept {
    const std::atomic_ref budget(sluice_fiber_budget);
    int left = budget.load(std::memory_order_relaxed) - 1;
    budget.store(left, std::memory_order_relaxed);
    asm volatile("" : "+r"(left)::"memory");
    return left <= 0;
}

#endif

}  // namespace sluice::rt
