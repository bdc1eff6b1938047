#include "base/clock.h"

#include <ctime>

namespace sluice {
namespace {

TimeNs read_clock(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return static_cast<TimeNs>(now.tv_sec) * kSecond + now.tv_nsec;
}

}  // namespace

TimeNs SystemClock::now_ns() const {
    return read_clock(CLOCK_MONOTONIC);
}

TimeNs SystemClock::wall_ns() const {
    return read_clock(CLOCK_REALTIME);
}

}  // namespace sluice
