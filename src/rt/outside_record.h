// What a program outside (eBPF, a debugger) reads to learn on whose behalf a thread runs: a
// thread-local record of fixed layout, as the ELF symbol `sluice_outside_record`.
//
// To find it: thread pointer (fs base on x86-64, tpidr_el0 on aarch64) + st_value of the symbol
// - the size of the program's TLS segment rounded up to its alignment (x86-64, ELF TLS variant II).
// Other threads than workers have one too, all zero. Each field is written on its own: a reader
// that stops the thread, as eBPF and ptrace do, sees them whole.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::rt {

struct OutsideRecord {
    std::uint64_t fiber = 0;    // Fiber::id(); 0: the scheduler runs
    std::uint64_t request = 0;  // set_request(); 0: none
    std::uint32_t phase = 0;    // of the request, as its layer numbers them
    std::uint32_t worker = 0;   // index + 1; 0: not a worker
};
static_assert(sizeof(OutsideRecord) == 24 && offsetof(OutsideRecord, request) == 8 &&
              offsetof(OutsideRecord, phase) == 16 && offsetof(OutsideRecord, worker) == 20);

// The calling thread's. Not to be kept across a suspension.
OutsideRecord& outside_record() noexcept;

}  // namespace sluice::rt
