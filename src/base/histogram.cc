#include "base/histogram.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sluice {

std::size_t HdrHistogram::bucket_of(std::uint64_t value) noexcept {
    if (value >> kValueBits != 0) return kBuckets - 1;
    // Below 2^(kSubBits+1) the buckets are one wide: shift 0.
    const unsigned width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kSubBits + 1 ? width - kSubBits - 1 : 0;
    const std::size_t bucket = (std::size_t{shift} << kSubBits) + (value >> shift);
    SLUICE_ASSERT(bucket < kBuckets);
    return bucket;
}

std::uint64_t HdrHistogram::lowest_of(std::size_t bucket) noexcept {
    SLUICE_ASSERT(bucket < kBuckets);
    const std::size_t row = bucket >> kSubBits;
    if (row <= 1) return bucket;
    const std::uint64_t in_row = (bucket & ((std::size_t{1} << kSubBits) - 1)) + (1u << kSubBits);
    return in_row << (row - 1);
}

HdrHistogram& HdrHistogram::operator=(const HdrHistogram& other) noexcept {
    if (this == &other) return *this;
    reset();
    merge(other);
    return *this;
}

void HdrHistogram::record(std::uint64_t value, std::uint64_t times) noexcept {
    bump(buckets_[bucket_of(value)], times);
    bump(sum_, value * times);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
}

void HdrHistogram::merge(const HdrHistogram& other) noexcept {
    SLUICE_ASSERT(this != &other);
    for (std::size_t i = 0; i < kBuckets; ++i) {
        const auto more = other.buckets_[i].load(std::memory_order_relaxed);
        if (more != 0) bump(buckets_[i], more);
    }
    bump(sum_, other.sum());
    max_.store(std::max(max(), other.max()), std::memory_order_relaxed);
}

void HdrHistogram::reset() noexcept {
    for (Cell& cell : buckets_) cell.store(0, std::memory_order_relaxed);
    sum_.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
}

std::uint64_t HdrHistogram::count() const noexcept {
    std::uint64_t total = 0;
    for (const Cell& cell : buckets_) total += cell.load(std::memory_order_relaxed);
    return total;
}

double HdrHistogram::mean() const noexcept {
    const std::uint64_t n = count();
    return n == 0 ? 0 : static_cast<double>(sum()) / static_cast<double>(n);
}

std::uint64_t HdrHistogram::percentile(double percent) const noexcept {
    const std::uint64_t total = count();
    if (total == 0) return 0;
    const double exact = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(total);
    const auto rank =
        std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(exact)), 1, total);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
        seen += buckets_[i].load(std::memory_order_relaxed);
        if (seen < rank) continue;
        if (i == kBuckets - 1) return max();
        const std::uint64_t low = lowest_of(i);
        return std::min(low + (lowest_of(i + 1) - low) / 2, max());
    }
    return max();
}

std::uint64_t HdrHistogram::count_at_most(std::uint64_t value) const noexcept {
    const std::size_t last = bucket_of(value);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i <= last; ++i) total += buckets_[i].load(std::memory_order_relaxed);
    return total;
}

}  // namespace sluice
