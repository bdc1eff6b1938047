#include "rt/debugger_view.h"

#include <cstddef>

#include "arch/saved_frame.h"
#include "rt/stack_arena.h"

namespace sluice::rt {
namespace {

// In the order of the enums.
constexpr const char* kStateNames[] = {"free", "runnable", "running", "waiting"};
constexpr const char* kReasonNames[] = {"mutex",    "channel",  "select",    "timer",
                                        "io",       "blocking", "condition", "group",
                                        "proposal", "read",     "other"};
static_assert(std::size(kReasonNames) == kWaitReasons);
static_assert(static_cast<unsigned>(FiberState::kWaiting) + 1 == std::size(kStateNames));

}  // namespace

struct DebuggerLayout {
    static constexpr DebuggerView view() {
        return {.version = 1,
                .slots_per_chunk = StackArena::kSlotsPerChunk,
                .colours = StackArena::kColours,
                .colour_bytes = StackArena::kColourBytes,
                .fiber_bytes = StackArena::kFiberBytes,
                .id = offsetof(Fiber, id_),
                .name = offsetof(Fiber, name_),
                .state = offsetof(Fiber, state_),
                .wait_reason = offsetof(Fiber, wait_reason_),
                .wait_object = offsetof(Fiber, wait_object_),
                .context = offsetof(Fiber, context_),
                .saved_pc = arch::kSavedPcWord * sizeof(void*),
                .saved_frame = arch::kSavedFrameWord * sizeof(void*),
                .state_names = kStateNames,
                .reason_names = kReasonNames,
                .arenas = {}};
    }
    static DebuggerArena arena(const StackArena& arena) {
        return {arena.chunks_.get(), &arena.carved_, arena.slot_bytes_};
    }
};

}  // namespace sluice::rt

extern "C" {
[[gnu::used]] sluice::rt::DebuggerView sluice_debugger_view = sluice::rt::DebuggerLayout::view();
}

namespace sluice::rt {

ShownToDebuggers::ShownToDebuggers(const StackArena& arena) : arena_(DebuggerLayout::arena(arena)) {
    for (auto& place : sluice_debugger_view.arenas) {
        const DebuggerArena* nobody = nullptr;
        if (place.compare_exchange_strong(nobody, &arena_)) return;
    }
}

ShownToDebuggers::~ShownToDebuggers() {
    for (auto& place : sluice_debugger_view.arenas) {
        const DebuggerArena* ours = &arena_;
        if (place.compare_exchange_strong(ours, nullptr)) return;
    }
}

}  // namespace sluice::rt
