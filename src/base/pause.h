// The instruction for the body of a spin loop: tells the CPU (and its hyper-twin) that we wait.
#pragma once

namespace sluice {

inline void pause_cpu() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace sluice
