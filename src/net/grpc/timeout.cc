#include "net/grpc/timeout.h"

namespace sluice::grpc {
namespace {

constexpr std::size_t kTimeoutDigits = 8;  // by the protocol

TimeNs unit_ns(char unit) {
    switch (unit) {
        case 'H':
            return 3600 * kSecond;
        case 'M':
            return 60 * kSecond;
        case 'S':
            return kSecond;
        case 'm':
            return kMillisecond;
        case 'u':
            return kMicrosecond;
        case 'n':
            return 1;
        default:
            return 0;
    }
}

}  // namespace

std::optional<TimeNs> parse_grpc_timeout(std::string_view text) noexcept {
    if (text.size() < 2 || text.size() > kTimeoutDigits + 1) return std::nullopt;
    const TimeNs unit = unit_ns(text.back());
    if (unit == 0) return std::nullopt;
    TimeNs count = 0;
    for (const char c : text.substr(0, text.size() - 1)) {
        if (c < '0' || c > '9') return std::nullopt;
        count = count * 10 + (c - '0');
    }
    TimeNs total = 0;
    if (__builtin_mul_overflow(count, unit, &total)) return kNever;
    return total;
}

}  // namespace sluice::grpc
