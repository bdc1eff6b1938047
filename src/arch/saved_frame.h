// Where a suspended context goes on: for walking its frames.
#pragma once

#include <cstdint>

#include "arch/switch.h"

namespace sluice::arch {

struct SavedFrame {
    std::uintptr_t pc = 0;
    std::uintptr_t frame = 0;  // the frame pointer
};

// All zero for a context that is none (never prepared), or whose layout is not ours
// (-DSLUICE_FCONTEXT=ON). `raw` may be stale: the words are read, and nothing is done with them.
SLUICE_UNINSTRUMENTED inline SavedFrame saved_frame(RawContext raw) noexcept {
    if (raw == nullptr) return {};
    const auto* words = static_cast<const volatile std::uintptr_t*>(raw);
#if defined(SLUICE_FCONTEXT)
    return {};
#elif defined(__x86_64__)
    return {.pc = words[6], .frame = words[5]};  // raw_context_x86_64.S
#elif defined(__aarch64__)
    return {.pc = words[1], .frame = words[0]};  // raw_context_aarch64.S
#endif
}

// How many bytes saved_frame() reads.
inline constexpr std::size_t kSavedFrameBytes = 7 * sizeof(std::uintptr_t);

}  // namespace sluice::arch
