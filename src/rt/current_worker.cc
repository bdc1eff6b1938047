#include "rt/current_worker.h"

#include "rt/outside_record.h"

extern "C" {
[[gnu::tls_model("initial-exec"), gnu::used]]
thread_local sluice::rt::OutsideRecord sluice_outside_record{};
}

namespace sluice::rt {
namespace {
thread_local Worker* current = nullptr;
}

[[gnu::noinline]] OutsideRecord& outside_record() noexcept {
    OutsideRecord* record = &sluice_outside_record;
    asm volatile("" : "+r"(record)::"memory");
    return *record;
}

[[gnu::noinline]] Worker* current_worker() noexcept {
    Worker* worker = current;
    asm volatile("" : "+r"(worker)::"memory");  // neither pure nor foldable
    return worker;
}

[[gnu::noinline]] void set_current_worker(Worker* worker) noexcept {
    asm volatile("" : "+r"(worker)::"memory");
    current = worker;
}

}  // namespace sluice::rt
