// C++ names of functions for a signal handler: no memory is allocated and no lock is taken. For
// others there is symbol_at() (rt/backtrace.h), which has the parameters, too.
#pragma once

#include <cstddef>
#include <span>

namespace sluice::rt {

// "sluice::sync::Mutex::lock" for "_ZN6sluice4sync5Mutex4lockEv": the name as in the source without
// parameters, template arguments as <...>, lambdas as {lambda}. Cut to the space, which is not
// empty, with a NUL at the end; returns the length. 0: not a C++ name, or of a kind not known here.
//
// Source: the Itanium C++ ABI, 5.1.
std::size_t function_name(const char* mangled, std::span<char> to) noexcept;

}  // namespace sluice::rt
