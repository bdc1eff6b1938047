// The process's limit of open descriptors, and so of connections.
//
// Shells and service managers start programs with a low soft limit (1024) for the sake of
// select(2), and a high hard one; a program without select() may take all that it is allowed.
#pragma once

#include <cstdint>

namespace sluice {

// Raises the soft limit to the hard one. Returns the limit that is then in force; 0 if it cannot be
// read. Once, at the start of a program; never blocks.
std::uint64_t raise_descriptor_limit() noexcept;

}  // namespace sluice
