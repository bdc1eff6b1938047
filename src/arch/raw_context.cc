#include "arch/raw_context.h"

#include <cstdint>

#include "base/check.h"

namespace sluice::arch::own {

// Lays out what sluice_switch_context will pop (see the drawings in raw_context_*.S).
RawContext make_context(void* stack_upper_end, ContextEntry entry) noexcept {
    SLUICE_ASSERT(reinterpret_cast<std::uintptr_t>(stack_upper_end) % 16 == 0);
    SLUICE_ASSERT(entry != nullptr);
    auto* const upper = static_cast<std::uintptr_t*>(stack_upper_end);
#if defined(__x86_64__)
    // After the seven pops the stack pointer is `upper - 2`: 16-byte aligned, as before a call.
    std::uintptr_t* const saved = upper - 2 - 7;
    for (int i = 0; i < 9; ++i) saved[i] = 0;
    saved[4] = reinterpret_cast<std::uintptr_t>(entry);                  // rbx
    saved[6] = reinterpret_cast<std::uintptr_t>(&sluice_context_entry);  // return address
    return saved;
#elif defined(__aarch64__)
    std::uintptr_t* const saved = upper - 2 - 20;
    for (int i = 0; i < 22; ++i) saved[i] = 0;
    saved[1] = reinterpret_cast<std::uintptr_t>(&sluice_context_entry);  // x30
    saved[2] = reinterpret_cast<std::uintptr_t>(entry);                  // x19
    return saved;
#else
    (void)upper;
    return nullptr;
#endif
}

}  // namespace sluice::arch::own
