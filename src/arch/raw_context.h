// The bare context switch: two implementations of the same two functions, one chosen.
//
//   own::       our assembler, raw_context_{x86_64,aarch64}.S: about 2 ns (docs/runtime.md).
//   fcontext::  Boost.Context's make_fcontext/jump_fcontext, where the package is installed:
//               for other CPUs (-DSLUICE_FCONTEXT=ON) and as a cross-check in the tests.
//
// make_context lays out a stack so that the first switch to it calls entry(argument of the switch)
// there; entry must never return. The stack's upper end must be 16-byte aligned.
//
// switch_context saves the calling context in *from and goes on at `to`; it returns when somebody
// switches back, with the argument that they passed. The callee-saved registers of the ABI are
// kept; floating-point control modes (rounding, flush to zero) are not: they belong to the thread,
// and a fiber must not change them (saving them costs 35-70 ns, docs/runtime.md).
//
// Neither is for use above this layer: arch/switch.h adds what the sanitizers must know.
#pragma once

#include <cstddef>

namespace sluice::arch {

// The saved stack pointer; the registers lie on the stack that it points to.
using RawContext = void*;
using ContextEntry = void (*)(void* argument);

namespace own {
RawContext make_context(void* stack_upper_end, ContextEntry entry) noexcept;
}  // namespace own

#ifdef SLUICE_HAVE_FCONTEXT
namespace fcontext {
RawContext make_context(void* stack_upper_end, ContextEntry entry) noexcept;
void* switch_context(RawContext* from, RawContext to, void* argument) noexcept;
}  // namespace fcontext
#endif

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SLUICE_FCONTEXT)
#error "no own context switch for this CPU: configure with -DSLUICE_FCONTEXT=ON"
#endif

extern "C" {
void* sluice_switch_context(RawContext* from, RawContext to, void* argument) noexcept;
void sluice_context_entry() noexcept;  // never called from C++; the first return address of a stack
}

namespace own {
// Always inline: arch/switch.h must make no function entry of its own once TSan knows of the
// switch.
[[gnu::always_inline]] inline void* switch_context(RawContext* from, RawContext to,
                                                   void* argument) noexcept {
    return sluice_switch_context(from, to, argument);
}
}  // namespace own

#ifdef SLUICE_FCONTEXT
using fcontext::make_context;
using fcontext::switch_context;
#else
using own::make_context;
using own::switch_context;
#endif

}  // namespace sluice::arch
