// A log-linear histogram of unsigned values (nanoseconds, bytes, batch sizes): fixed memory, fixed
// relative error, mergeable, percentiles at any rank. For what Prometheus scrapes with few buckets
// there is metrics::Histogram (base/metrics.h); this one is for the load generator and for the
// time accounts.
//
// Every power of two is divided into 32 equal buckets, so that a percentile is off by at most 1.6%
// of its value (values below 64 are exact). Values above the maximum are counted in the last
// bucket; max() and sum() stay exact. Memory: 9.3 KB.
//
// One thread (or fiber) records at a time; any other may read or merge at the same time and sees
// each bucket's count as of some recent moment. Nothing blocks, suspends or allocates.
// Cost: record() about 2 ns (base_bench: BM_HdrHistogramRecord).
// Source: HdrHistogram (hdrhistogram.org), the bucket layout.
//
//   HdrHistogram latency;
//   latency.record(took_ns);
//   total.merge(latency);
//   total.percentile(99.9);
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice {

class HdrHistogram {
  public:
    static constexpr unsigned kSubBits = 5;     // 32 buckets a power of two
    static constexpr unsigned kValueBits = 40;  // the largest told apart: 2^40 ns, 18 minutes
    static constexpr std::size_t kBuckets = (kValueBits - kSubBits + 1) << kSubBits;

    HdrHistogram() = default;
    HdrHistogram(const HdrHistogram& other) noexcept { merge(other); }
    HdrHistogram& operator=(const HdrHistogram& other) noexcept;

    void record(std::uint64_t value) noexcept { record(value, 1); }
    void record(std::uint64_t value, std::uint64_t times) noexcept;

    // Adds the other's counts to this one; the caller is this one's writer.
    void merge(const HdrHistogram& other) noexcept;
    void reset() noexcept;

    std::uint64_t count() const noexcept;
    std::uint64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }
    std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
    double mean() const noexcept;

    // The value at a rank between 0 and 100: the middle of its bucket, and never above max().
    // 0 when nothing was recorded.
    std::uint64_t percentile(double percent) const noexcept;

    // How many recorded values are <= value, as exact as the buckets are.
    std::uint64_t count_at_most(std::uint64_t value) const noexcept;

    // The bucket of a value, and a bucket's lowest value: for tests and exporters.
    static std::size_t bucket_of(std::uint64_t value) noexcept;
    static std::uint64_t lowest_of(std::size_t bucket) noexcept;

  private:
    using Cell = std::atomic<std::uint64_t>;

    // One writer: a relaxed load and store do what a locked add would, at a fifth of its cost.
    static void bump(Cell& cell, std::uint64_t by) noexcept {
        cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    std::array<Cell, kBuckets> buckets_{};
    Cell sum_{0};
    Cell max_{0};
};

}  // namespace sluice
