#include "base/result.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

Code code_of_errno(int number) noexcept {
    switch (number) {
        case ENOENT:
            return Code::kNotFound;
        case EEXIST:
            return Code::kAlreadyExists;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::kPermissionDenied;
        case ENOSPC:
        case EDQUOT:
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
            return Code::kResourceExhausted;
        case ECONNREFUSED:
        case ECONNRESET:
        case EPIPE:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return Code::kUnavailable;
        case ETIMEDOUT:
            return Code::kDeadlineExceeded;
        case ECANCELED:
            return Code::kCancelled;
        case EADDRINUSE:
            return Code::kFailedPrecondition;
        default:
            return Code::kInternal;
    }
}

}  // namespace

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
    return Error(code_of_errno(number), fmt::format("{}: {}", context, text));
}

}  // namespace sluice
