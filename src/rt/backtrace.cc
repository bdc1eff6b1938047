#include "rt/backtrace.h"

#include <fmt/format.h>
#include <ucontext.h>

#include "arch/switch.h"
#include "rt/symbol_table.h"

namespace sluice::rt {

SLUICE_UNINSTRUMENTED std::size_t walk_frames(std::uintptr_t pc, std::uintptr_t frame,
                                              const void* lower, const void* upper,
                                              std::span<std::uintptr_t> out) noexcept {
    constexpr std::size_t kFrameBytes = 2 * sizeof(std::uintptr_t);
    const auto begin = reinterpret_cast<std::uintptr_t>(lower);
    const auto end = reinterpret_cast<std::uintptr_t>(upper);
    std::size_t count = 0;
    while (count < out.size() && pc != 0) {
        out[count++] = pc;
        if (frame < begin || frame >= end || end - frame < kFrameBytes) break;
        if (frame % sizeof frame != 0) break;
        const auto* words = reinterpret_cast<const volatile std::uintptr_t*>(frame);
        // Not null: it lies in [begin, end). NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        const std::uintptr_t caller = words[0];
        pc = words[1];
        if (caller != 0 && caller <= frame) break;
        frame = caller;
    }
    return count;
}

Backtrace walk_frames(std::uintptr_t pc, std::uintptr_t frame, const void* lower,
                      const void* upper) noexcept {
    Backtrace trace;
    trace.count = walk_frames(pc, frame, lower, upper, trace.addresses);
    return trace;
}

Interrupted interrupted_at(const void* machine) noexcept {
    const mcontext_t& registers = static_cast<const ucontext_t*>(machine)->uc_mcontext;
#if defined(__x86_64__)
    return {static_cast<std::uintptr_t>(registers.gregs[REG_RIP]),
            static_cast<std::uintptr_t>(registers.gregs[REG_RBP])};
#else
    return {static_cast<std::uintptr_t>(registers.pc),
            static_cast<std::uintptr_t>(registers.regs[29])};
#endif
}

std::string symbol_at(std::uintptr_t address) {
    static const SymbolTable table = SymbolTable::of_this_program();
    const SymbolTable::Place place = table.find(address);
    if (place.name.empty()) return fmt::format("{:#x}", address);
    return fmt::format("{}+{:#x}", place.name, place.offset);
}

}  // namespace sluice::rt
