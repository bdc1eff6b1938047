// Assertions: a failed one is a programmer's error and ends the process with a message.
//
//   SLUICE_CHECK(cond)          stays on in release builds; for invariants that guard data.
//   SLUICE_ASSERT(cond)         off in release builds, but still compiled; for hot paths.
//
// Neither is for bad input: that is answered with an Error (base/result.h).
// They may be called anywhere, on any stack; they neither allocate nor suspend.
#pragma once

namespace sluice {

// Writes "file:line: check failed: expression" to standard error and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression) noexcept;

}  // namespace sluice

#define SLUICE_CHECK(cond) \
    (__builtin_expect(!!(cond), 1) ? void() : ::sluice::check_failed(__FILE__, __LINE__, #cond))

#ifdef SLUICE_RELEASE
#define SLUICE_ASSERT(cond) ((void)sizeof(!!(cond)))
#else
#define SLUICE_ASSERT(cond) SLUICE_CHECK(cond)
#endif
