// How large a fiber's stack is: one of three sizes, chosen when the fiber is started, beside its
// name.
//
//   group.spawn([&] { keep_alive(); }, {"keep alive", rt::StackClass::kSmall});
//   group.spawn([&] { compact(); }, "compaction");           // kNormal
//
// A parked fiber costs what it has touched, in any class: at least a page of 4 KiB. What differs is
// the room, the address space, and the kernel's page tables, 8 bytes for each page of the slot. So
// small stacks are for very many fibers whose code is known to be shallow. Which depth they really
// reach says Runtime::stack_report().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace sluice::rt {

enum class StackClass : std::uint8_t {
    kSmall,   // limits::kFiberStackSmallBytes
    kNormal,  // Options::stack_bytes, limits::kFiberStackBytes unless told otherwise
    kLarge,   // limits::kFiberStackLargeBytes
};
inline constexpr std::size_t kStackClasses = 3;
inline constexpr std::array kEveryStackClass{StackClass::kSmall, StackClass::kNormal,
                                             StackClass::kLarge};

constexpr const char* stack_class_name(StackClass size) noexcept {
    constexpr std::array kNames{"small", "normal", "large"};
    static_assert(kNames.size() == kStackClasses);
    return kNames[static_cast<std::size_t>(size)];
}

// What is said of a fiber when it is started. A name alone converts to it.
struct FiberTraits {
    // The name must outlive the fiber: a literal.
    // NOLINTNEXTLINE(google-explicit-constructor)
    constexpr FiberTraits(const char* fiber_name = "",
                          StackClass stack_class = StackClass::kNormal) noexcept
        : name(fiber_name), stack(stack_class) {}

    const char* name;
    StackClass stack;
};

}  // namespace sluice::rt
