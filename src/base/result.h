// Errors are values: Result<T> is either a T or an Error.
//
// An Error has a code (gRPC's canonical codes, so that a face maps it without a table), a message
// that a user can act on, and through with_context() the chain of causes in that message.
// Exceptions are used only where a library throws, and are caught at its border.
//
//   Result<File> open(std::string_view path);
//   auto file = open(path);
//   if (!file) return fail(file.error().with_context("open the log"));
//   SLUICE_TRY(file->sync());                     // returns the error, if there is one
//   SLUICE_TRY_ASSIGN(auto size, file->size());   // the same, and binds the value
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

// The numbers are those of gRPC status codes (grpc/statuscodes.md); they go on the wire.
enum class Code : std::uint8_t {
    kOk = 0,
    kCancelled = 1,
    kUnknown = 2,
    kInvalidArgument = 3,
    kDeadlineExceeded = 4,
    kNotFound = 5,
    kAlreadyExists = 6,
    kPermissionDenied = 7,
    kResourceExhausted = 8,
    kFailedPrecondition = 9,
    kAborted = 10,
    kOutOfRange = 11,
    kUnimplemented = 12,
    kInternal = 13,
    kUnavailable = 14,
    kDataLoss = 15,
    kUnauthenticated = 16,
};

// The name of a code as gRPC spells it in metrics: "OK", "InvalidArgument", ...
std::string_view code_name(Code code) noexcept;

class Error {
  public:
    Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

    Code code() const noexcept { return code_; }
    const std::string& message() const noexcept { return message_; }

    // The same error with "context: " before its message.
    Error with_context(std::string_view context) const;

    // An error from a negative errno, as system-call wrappers return it: "context: strerror".
    // The code follows the number (ENOENT: kNotFound, ENOSPC: kResourceExhausted, ...).
    static Error from_errno(int negative_errno, std::string_view context);

  private:
    Code code_;
    std::string message_;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// return fail(Code::kNotFound, "..."); converts to any Result<T>.
inline std::unexpected<Error> fail(Code code, std::string message) {
    return std::unexpected<Error>(Error(code, std::move(message)));
}
inline std::unexpected<Error> fail(Error error) {
    return std::unexpected<Error>(std::move(error));
}

}  // namespace sluice

#define SLUICE_CONCAT_INNER(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_INNER(a, b)

#define SLUICE_TRY(expression)                                                      \
    do {                                                                            \
        if (auto sluice_try_result = (expression); !sluice_try_result) [[unlikely]] \
            return ::std::unexpected(::std::move(sluice_try_result).error());       \
    } while (false)

#define SLUICE_TRY_ASSIGN_INNER(tmp, target, expression)    \
    auto tmp = (expression);                                \
    if (!tmp) [[unlikely]]                                  \
        return ::std::unexpected(::std::move(tmp).error()); \
    target = ::std::move(*tmp)
#define SLUICE_TRY_ASSIGN(target, expression) \
    SLUICE_TRY_ASSIGN_INNER(SLUICE_CONCAT(sluice_try_, __LINE__), target, expression)
