// A walk along saved frame pointers, and the names of what it finds.
//
// Everything of ours is built with frame pointers; in a library without them a walk ends early or
// skips callers, but never leaves the given stack. Reading is safe in a signal handler and on a
// stack that is in use: it may yield nonsense then, but no fault.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/limits.h"

namespace sluice::rt {

struct Backtrace {
    std::array<std::uintptr_t, limits::kStackDumpFramesMax> addresses{};
    std::size_t count = 0;

    std::span<const std::uintptr_t> frames() const noexcept { return {addresses.data(), count}; }
};

// The address `pc`, then the return addresses of the frames from `frame` on, as long as they lie
// in [lower, upper) and rise.
Backtrace walk_frames(std::uintptr_t pc, std::uintptr_t frame, const void* lower,
                      const void* upper) noexcept;

// The same into `out`, as many as fit there; how many.
std::size_t walk_frames(std::uintptr_t pc, std::uintptr_t frame, const void* lower,
                        const void* upper, std::span<std::uintptr_t> out) noexcept;

// The interrupted thread's program counter and frame pointer; `machine` is a signal handler's third
// argument.
struct Interrupted {
    std::uintptr_t pc;
    std::uintptr_t frame;
};
Interrupted interrupted_at(const void* machine) noexcept;

// "sluice::sync::Mutex::lock()+0x1f", or the bare address where no symbol is known. Reads the
// program's symbol table at the first call, which takes some milliseconds and opens a file. Not in
// signal handlers.
std::string symbol_at(std::uintptr_t address);

}  // namespace sluice::rt
