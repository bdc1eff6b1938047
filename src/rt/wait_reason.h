// Why a fiber waits: for dumps, traces and the deadlock verdict.
#pragma once

#include <cstdint>

namespace sluice::rt {

enum class WaitReason : std::uint8_t {
    kMutex,
    kChannel,
    kSelect,
    kTimer,
    kIo,
    kBlocking,
    kCondition,
    kGroup,
    kProposal,
    kRead,
    kOther,
};
inline constexpr unsigned kWaitReasons = static_cast<unsigned>(WaitReason::kOther) + 1;

// "mutex", "channel", ...
const char* wait_reason_name(WaitReason reason) noexcept;

// True if only another fiber can end such a wait. When every fiber waits like that and no timer,
// I/O or foreign thread is at work, nothing can ever run again: a deadlock (rt/runtime.h).
constexpr bool ends_by_fiber_only(WaitReason reason) noexcept {
    switch (reason) {
        case WaitReason::kMutex:
        case WaitReason::kChannel:
        case WaitReason::kSelect:
        case WaitReason::kCondition:
        case WaitReason::kGroup:
            return true;
        default:
            return false;
    }
}

}  // namespace sluice::rt
