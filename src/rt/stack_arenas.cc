#include "rt/stack_arenas.h"

#include "arch/switch.h"

namespace sluice::rt {

StackArenas::StackArenas(Runtime* runtime, std::size_t normal_bytes, MemoryLimit* memory)
    : arenas_{{{runtime, StackClass::kSmall, limits::kFiberStackSmallBytes * arch::kStackFactor,
                limits::kStackDepotWarm},
               {runtime, StackClass::kNormal, normal_bytes * arch::kStackFactor,
                limits::kStackDepotWarm},
               {runtime, StackClass::kLarge, limits::kFiberStackLargeBytes * arch::kStackFactor,
                limits::kStackDepotWarmLarge}}},
      memory_(memory) {
    if (memory_ != nullptr) memory_->add(*this);
}

StackArenas::~StackArenas() {
    if (memory_ != nullptr) memory_->remove(*this);
}

const Fiber* StackArenas::overflowed_into(const void* address) const noexcept {
    for (const StackArena& arena : arenas_) {
        if (const Fiber* fiber = arena.overflowed_into(address)) return fiber;
    }
    return nullptr;
}

void StackArenas::set_tended(bool tended) noexcept {
    for (StackArena& arena : arenas_) arena.set_tended(tended);
}

bool StackArenas::tend(TimeNs now_ns) {
    bool more = false;
    for (StackArena& arena : arenas_) more = arena.tend(now_ns) || more;
    return more;
}

void StackArenas::shrink() noexcept {
    for (StackArena& arena : arenas_) arena.shrink();
}

void StackArenas::record_depth(Fiber& fiber) {
    fiber.measured_.store(false, std::memory_order_relaxed);
    const std::size_t bytes = of(fiber.stack_class()).touched_bytes(fiber);
    depths_.record(fiber.name(), fiber.stack_class(), bytes);
}

// Those that have not ended yet and began on fresh memory.
void StackArenas::record_live(StackArena& arena) {
    std::size_t left = limits::kStackLiveSamples;
    arena.for_each([&](const Fiber& fiber) {
        if (left == 0 || !fiber.measured_.load(std::memory_order_relaxed)) return;
        if (fiber.state() == FiberState::kFree) return;
        --left;
        depths_.record(fiber.name(), fiber.stack_class(), arena.touched_bytes(fiber));
    });
}

StackReport StackArenas::report() {
    StackReport report;
    for (std::size_t i = 0; i < kStackClasses; ++i) {
        StackArena& arena = arenas_[i];
        arena.look();
        record_live(arena);
        const StackArena::Figures now = arena.figures();
        report.classes[i] = {.name = stack_class_name(arena.size_class()),
                             .slot_bytes = arena.slot_bytes(),
                             .slots = now.slots,
                             .kept = now.kept,
                             .cold = now.cold,
                             .unguarded = now.unguarded,
                             .high_water_bytes = now.high_water_bytes,
                             .returned = now.returned,
                             .return_calls = now.return_calls};
    }
    report.fibers = depths_.all();
    return report;
}

StackArena::Figures StackArenas::figures() const {
    StackArena::Figures sum;
    for (const StackArena& arena : arenas_) {
        const StackArena::Figures one = arena.figures();
        sum.slots += one.slots;
        sum.unguarded += one.unguarded;
    }
    return sum;
}

}  // namespace sluice::rt
