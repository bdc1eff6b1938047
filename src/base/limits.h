// Every bound in Sluice, by name. A queue, buffer, retry or wait without a line here is a bug.
// Grouped by layer; where two bounds depend on each other a static_assert below says how.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

// ---- rt
// -------------------------------------------------------------------------------------------

// ---- sync, io
// -------------------------------------------------------------------------------------

inline constexpr std::size_t kIoVectorParts = 256;  // parts a gathered write; kernel takes 1024
inline constexpr std::size_t kChunkSmallBytes = 16 << 10;  // bytes; one HTTP/2 frame, one read
inline constexpr std::size_t kChunkLargeBytes = 64 << 10;  // bytes; one writev of a busy connection

// ---- net
// ------------------------------------------------------------------------------------------

// ---- storage
// --------------------------------------------------------------------------------------

// ---- consensus
// ------------------------------------------------------------------------------------

// ---- etcd
// -----------------------------------------------------------------------------------------

// ---- observe
// --------------------------------------------------------------------------------------

}  // namespace sluice::limits
