// Time, injected: whoever needs the time is given a Clock, so that a simulator can replace it.
//
// now_ns() is monotonic, in nanoseconds from an arbitrary start; it is for durations and deadlines.
// wall_ns() is nanoseconds since the Unix epoch; it is for logs and for what users read.
// Both may be called on any thread and any fiber; they neither block nor suspend. Cost: about 20 ns
// (vDSO clock_gettime).
#pragma once

#include <cstdint>

namespace sluice {

using TimeNs = std::int64_t;  // nanoseconds
inline constexpr TimeNs kNever = INT64_MAX;
inline constexpr TimeNs kMicrosecond = 1'000;
inline constexpr TimeNs kMillisecond = 1'000'000;
inline constexpr TimeNs kSecond = 1'000'000'000;

class Clock {
  public:
    virtual ~Clock() = default;
    virtual TimeNs now_ns() const = 0;
    virtual TimeNs wall_ns() const = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
  public:
    TimeNs now_ns() const override;
    TimeNs wall_ns() const override;
};

}  // namespace sluice
