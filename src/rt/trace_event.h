// What the runtime records of itself: one event for each thing that happens to a fiber.
//
//   kind           fiber             other                 reason          detail
//   kCreate        the new one       its creator, or 0     -               -
//   kReady         who may run       by whom, or 0         what it was     -
//                                                          waiting for
//   kRun           who runs now      -                     -               -
//   kYield         who gave way      -                     -               -
//   kPark          who waits         address of what it    why             -
//                                    waits for, or 0
//   kEnd           who has ended     -                     -               -
//   kBlockingBegin who called        -                     -               -
//   kBlockingEnd   who called        -                     -               -
//   kIoSubmit      0                 -                     -               operations
//   kIoComplete    0                 -                     -               events
//
// `other` of kReady is 0 when no fiber did it: a timer, I/O, a foreign thread.
#pragma once

#include <cstdint>

#include "base/tick_clock.h"
#include "rt/wait_reason.h"

namespace sluice::rt {

enum class TraceKind : std::uint8_t {
    kCreate,
    kReady,
    kRun,
    kYield,
    kPark,
    kEnd,
    kBlockingBegin,
    kBlockingEnd,
    kIoSubmit,
    kIoComplete,
};

// "create", "ready", ...
const char* trace_kind_name(TraceKind kind) noexcept;

struct TraceEvent {
    // Of events that no worker recorded.
    static constexpr std::uint16_t kNoWorker = UINT16_MAX;

    Ticks ticks = 0;           // never less than that of the event before it on its worker
    std::uint64_t number = 0;  // among its worker's; a kYield may share that of the kRun after it
    std::uint64_t fiber = 0;
    std::uint64_t other = 0;
    std::uint32_t detail = 0;
    std::uint16_t worker = kNoWorker;
    TraceKind kind = TraceKind::kCreate;
    WaitReason reason = WaitReason::kOther;
};

}  // namespace sluice::rt
