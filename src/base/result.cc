#include "base/result.h"

#include <fmt/core.h>

#include <cstring>

namespace sluice {

std::string_view code_name(Code code) noexcept {
    static constexpr std::string_view kNames[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};
    const auto index = static_cast<std::size_t>(code);
    return index < std::size(kNames) ? kNames[index] : "Unknown";
}

Error Error::with_context(std::string_view context) const {
    return Error(code_, fmt::format("{}: {}", context, message_));
}

Error Error::from_errno(int negative_errno, std::string_view context) {
    const int number = -negative_errno;
    char buffer[128];
    const char* text = strerror_r(number, buffer, sizeof buffer);
    return Error(Code::kInternal, fmt::format("{}: {}", context, text));
}

}  // namespace sluice
