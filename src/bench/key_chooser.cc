#include "bench/key_chooser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace sluice::bench {
namespace {

constexpr double kTheta = 0.99;  // the skew that YCSB made customary

}  // namespace

KeyChooser::KeyChooser(KeyOrder order, std::uint64_t keys, std::uint64_t seed, std::uint64_t first,
                       std::uint64_t stride)
    : order_(order), keys_(keys), stride_(stride), position_(first % keys), random_(seed) {
    SLUICE_CHECK(keys > 0);
    if (order_ != KeyOrder::kZipfian) return;
    for (std::uint64_t i = 1; i <= keys_; ++i) zeta_ += std::pow(static_cast<double>(i), -kTheta);
    const double zeta_two = 1 + std::pow(2.0, -kTheta);
    alpha_ = 1 / (1 - kTheta);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(keys_), 1 - kTheta)) / (1 - zeta_two / zeta_);
}

std::uint64_t KeyChooser::next() noexcept {
    if (order_ == KeyOrder::kUniform) return random_.below(keys_);
    if (order_ == KeyOrder::kZipfian) return next_zipfian();
    const std::uint64_t chosen = position_;
    position_ = (position_ + stride_) % keys_;
    return chosen;
}

std::uint64_t KeyChooser::next_zipfian() noexcept {
    const double unit = random_.unit();
    const double scaled = unit * zeta_;
    if (scaled < 1 || keys_ == 1) return 0;
    if (scaled < 1 + std::pow(0.5, kTheta)) return 1;
    const double rank = static_cast<double>(keys_) * std::pow(eta_ * unit - eta_ + 1, alpha_);
    return std::min(static_cast<std::uint64_t>(rank), keys_ - 1);
}

void append_key(std::string& out, const Options& options, std::uint64_t number) {
    char digits[20];
    char* const end = digits + sizeof digits;
    char* at = end;
    do {
        *--at = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    out += options.key_prefix;
    const auto used = options.key_prefix.size() + static_cast<std::size_t>(end - at);
    if (used < options.key_bytes) out.append(options.key_bytes - used, '0');
    out.append(at, end);
}

}  // namespace sluice::bench
