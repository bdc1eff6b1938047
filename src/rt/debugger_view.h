// What a debugger needs to find the fibers of a process or a core file without type information:
// the ELF symbol `sluice_debugger_view`, which tools/gdb/sluice.py reads. All words are 8 bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace sluice::rt {

class StackArena;

// Where the fibers of one runtime with stacks of one size lie (rt/stack_arena.h).
struct DebuggerArena {
    const void* chunks;  // array of pointers to chunks of slots
    const void* slots;   // their number, 8 bytes
    std::uint64_t slot_bytes;
};

struct DebuggerView {
    static constexpr std::size_t kPlaces = 24;  // more at once (three a runtime) are not shown

    std::uint64_t version;
    std::uint64_t slots_per_chunk, colours, colour_bytes, fiber_bytes;
    // Offsets in a Fiber. The context is a pointer to the saved registers.
    std::uint64_t id, name, state, wait_reason, wait_object, context;
    // Offsets at that pointer.
    std::uint64_t saved_pc, saved_frame;
    const char* const* state_names;
    const char* const* reason_names;
    std::array<std::atomic<const DebuggerArena*>, kPlaces> arenas;
};

// Shows an arena to debuggers while it lives.
class ShownToDebuggers {
  public:
    explicit ShownToDebuggers(const StackArena& arena);
    ShownToDebuggers(const ShownToDebuggers&) = delete;
    ShownToDebuggers& operator=(const ShownToDebuggers&) = delete;
    ~ShownToDebuggers();

  private:
    const DebuggerArena arena_;
};

}  // namespace sluice::rt
