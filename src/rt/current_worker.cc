#include "rt/current_worker.h"

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

#if !defined(__x86_64__)

[[gnu::noinline]] Worker* current_worker() noexcept {
    Worker* worker = sluice_current_worker;
    asm volatile("" : "+r"(worker)::"memory");  // neither pure nor foldable
    return worker;
}

[[gnu::noinline]] void set_budget(int calls) noexcept {
    asm volatile("" : "+r"(calls)::"memory");
    sluice_fiber_budget = calls;
}

[[gnu::noinline]] bool use_budget() noexcept {
    int left = --sluice_fiber_budget;
    asm volatile("" : "+r"(left)::"memory");
    return left <= 0;
}

#endif

}  // namespace sluice::rt
