#include "rt/current_worker.h"

namespace sluice::rt {
namespace {
thread_local Worker* current = nullptr;
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
