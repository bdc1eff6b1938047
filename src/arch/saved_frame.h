// Where a suspended context goes on: for walking its frames.
#pragma once

#include <cstdint>

#include "arch/switch.h"

namespace sluice::arch {

// Where they lie at a RawContext: the drawings in raw_context_*.S.
#if defined(SLUICE_FCONTEXT)
inline constexpr bool kSavedFrameKnown = false;
#else
inline constexpr bool kSavedFrameKnown = true;
#endif
#if defined(__aarch64__)
inline constexpr std::size_t kSavedPcWord = 1;
inline constexpr std::size_t kSavedFrameWord = 0;
#else
inline constexpr std::size_t kSavedPcWord = 6;
inline constexpr std::size_t kSavedFrameWord = 5;
#endif

struct SavedFrame {
    std::uintptr_t pc = 0;
    std::uintptr_t frame = 0;  // the frame pointer
};

// All zero for a context that is none (never prepared), or whose layout is not ours
// (-DSLUICE_FCONTEXT=ON). `raw` may be stale: the words are read, and nothing is done with them.
SLUICE_UNINSTRUMENTED inline SavedFrame saved_frame(RawContext raw) noexcept {
    if (raw == nullptr || !kSavedFrameKnown) return {};
    const auto* words = static_cast<const volatile std::uintptr_t*>(raw);
    return {.pc = words[kSavedPcWord], .frame = words[kSavedFrameWord]};
}

// How many bytes saved_frame() reads at most.
inline constexpr std::size_t kSavedFrameBytes = 7 * sizeof(std::uintptr_t);

}  // namespace sluice::arch
