// Which key comes next: uniform, sequential, or skewed (Zipf, theta 0.99), out of a fixed number of
// keys; and how a key's number looks as a key.
//
// One chooser a client; deterministic for a seed. Cost: a few nanoseconds, the skewed one about 30.
// Source of the skewed one: Gray et al., "Quickly Generating Billion-Record Synthetic Databases".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/options.h"

namespace sluice::bench {

// splitmix64: one multiplication chain a number, good enough to spread load.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    // 0 <= result < below
    std::uint64_t below(std::uint64_t below) noexcept {
        return static_cast<std::uint64_t>(static_cast<unsigned __int128>(next()) * below >> 64);
    }
    double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  private:
    std::uint64_t state_;
};

class KeyChooser {
  public:
    // The sequential order starts at `first` and advances by `stride`, so that clients share the
    // keys out among themselves.
    KeyChooser(KeyOrder order, std::uint64_t keys, std::uint64_t seed, std::uint64_t first = 0,
               std::uint64_t stride = 1);

    std::uint64_t next() noexcept;
    Random& random() noexcept { return random_; }

  private:
    std::uint64_t next_zipfian() noexcept;

    const KeyOrder order_;
    const std::uint64_t keys_;
    const std::uint64_t stride_;
    std::uint64_t position_;
    Random random_;
    double zeta_ = 0, eta_ = 0, alpha_ = 0;
};

// prefix, then the number in decimal, zero-padded to key_bytes in all (longer if it must be).
void append_key(std::string& out, const Options& options, std::uint64_t number);

}  // namespace sluice::bench
