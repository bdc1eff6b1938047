// Runtime::dump(): every fiber with its state, what it waits for and its stack, while all goes on.
//
// A parked or runnable fiber's frames are read from outside: its slot's memory is never unmapped,
// so at worst it runs meanwhile, which its switch count tells. Of a running fiber its worker is
// asked, by a signal (rt/stack_capture.h).
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "arch/saved_frame.h"
#include "rt/backtrace.h"
#include "rt/scheduler.h"

namespace sluice::rt {
namespace {

void append_frames(std::string& text, const Backtrace& trace) {
    for (const std::uintptr_t address : trace.frames()) {
        fmt::format_to(std::back_inserter(text), "    {}\n", symbol_at(address));
    }
}

std::string seconds(TimeNs time_ns) {
    return fmt::format("{:.3f} s", static_cast<double>(time_ns) / 1e9);
}

const char* state_name(FiberState state) noexcept {
    switch (state) {
        case FiberState::kFree:
            return "free";
        case FiberState::kRunnable:
            return "runnable";
        case FiberState::kRunning:
            return "running";
        case FiberState::kWaiting:
            return "waiting";
    }
    return "?";
}

void append_stacks(std::string& text, const StackReport& report) {
    for (const StackReport::Class& one : report.classes) {
        fmt::format_to(std::back_inserter(text),
                       "{} stacks: {} slots of {} KiB, {} free, {} of them without memory; at most "
                       "{} KiB touched\n",
                       one.name, one.slots, one.slot_bytes / 1024, one.kept + one.cold, one.cold,
                       one.high_water_bytes / 1024);
    }
}

}  // namespace

// A reader that races with the owner by design; see above.
SLUICE_UNINSTRUMENTED bool Scheduler::read_parked(const Fiber& fiber, Backtrace& out) const {
    const auto switches = [&fiber] {
        return static_cast<const volatile std::uint64_t&>(fiber.switches_);
    };
    const auto off_worker = [&fiber] {
        const FiberState state = fiber.state_.load(std::memory_order_acquire);
        return state == FiberState::kWaiting || state == FiberState::kRunnable;
    };
    const std::uint64_t before = switches();
    if (!off_worker()) return false;
    const StackArena::Bounds stack = stacks_.bounds(&fiber);
    char* const at = static_cast<char*>(fiber.context_.raw());
    const auto room = static_cast<std::ptrdiff_t>(arch::kSavedFrameBytes);
    if (at < stack.lower || stack.upper - at < room) return false;
    const arch::SavedFrame saved = arch::saved_frame(at);
    out = walk_frames(saved.pc, saved.frame, stack.lower, stack.upper);
    std::atomic_thread_fence(std::memory_order_acquire);
    return off_worker() && switches() == before;
}

void Scheduler::describe(std::string& text, const Fiber& fiber, FiberState state) {
    fmt::format_to(std::back_inserter(text), "fiber {} \"{}\" {}", fiber.id(), fiber.name(),
                   state_name(state));
    if (state != FiberState::kWaiting) return;
    text += ": ";
    text += wait_reason_name(fiber.wait_reason());
    if (fiber.wait_object() != nullptr) {
        fmt::format_to(std::back_inserter(text), " {}", fiber.wait_object());
    }
    const Ticks since = fiber.parked_since_ticks_.load(std::memory_order_relaxed);
    text += " for " + seconds(ticks_.to_ns(ticks_.now() - since));
    // Its own use or an earlier one's: the slot's pages are not cleared between two fibers.
    const std::size_t touched = stacks_.of(fiber.stack_class()).touched_bytes(fiber);
    fmt::format_to(std::back_inserter(text), ", stack touched {} KiB", touched / 1024);
}

std::string Scheduler::dump() {
    // First, so that a fiber is met once: asked for here, or found off its worker below.
    std::vector<StackCapture::Result> running;
    for (const auto& worker : workers_) {
        StackCapture::Result result;
        if (worker->capture().take(result)) running.push_back(result);
    }
    std::string text;
    std::size_t shown = 0;
    std::size_t more = 0;
    stacks_.for_each([&](const Fiber& fiber) {
        const FiberState state = fiber.state();
        if (state == FiberState::kFree) return;
        if (shown == limits::kDumpFibersMax) {
            ++more;
            return;
        }
        ++shown;
        describe(text, fiber, state);
        text += '\n';
        Backtrace trace;
        const auto captured = std::ranges::find(running, fiber.id(), &StackCapture::Result::fiber);
        if (read_parked(fiber, trace)) {
            append_frames(text, trace);
        } else if (captured != running.end()) {
            append_frames(text, captured->stack);
        }
    });
    if (more > 0) fmt::format_to(std::back_inserter(text), "and {} more fibers\n", more);
    append_stacks(text, stacks_.report());
    return text;
}

}  // namespace sluice::rt
