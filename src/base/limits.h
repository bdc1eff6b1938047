// Every bound in Sluice, by name. A queue, buffer, retry or wait without a line here is a bug.
// Grouped by layer; where two bounds depend on each other a static_assert below says how.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

// ---- base

// Cells that a counter is spread over; more only cost memory.
inline constexpr unsigned kMetricShardsMax = 16;
// Bounds of one exported histogram.
inline constexpr std::size_t kMetricBucketsMax = 64;
// Label sets of one metric name, so that a scrape stays small.
inline constexpr std::size_t kMetricFamilySizeMax = 512;
// Workers and threads that record time accounts.
inline constexpr unsigned kStageShardsMax = 1024;
// The spin at start that measures the tick counter's rate to about 1e-4.
inline constexpr std::int64_t kTickCalibrationNs = 500'000;
// Lines waiting for the log writer; a full queue drops the oldest.
inline constexpr std::size_t kLogQueueLines = 4096;
// One log line; the rest is cut.
inline constexpr std::size_t kLogLineBytesMax = 16 * 1024;
// A flush whose queue entry was overrun by a burst asks again after this.
inline constexpr std::int64_t kLogFlushRetryNs = 100'000'000;

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
