#include "bench/options.h"

#include <array>

namespace sluice::bench {
namespace {

constexpr std::array<std::string_view, 6> kWorkloads = {"put", "get",   "range",
                                                        "txn", "watch", "empty"};
constexpr std::array<std::string_view, 3> kKeyOrders = {"uniform", "sequential", "zipfian"};

template <class T, std::size_t N>
std::optional<T> find(const std::array<std::string_view, N>& names, std::string_view name) {
    for (std::size_t i = 0; i < N; ++i)
        if (names[i] == name) return static_cast<T>(i);
    return std::nullopt;
}

}  // namespace

std::string_view workload_name(WorkloadKind kind) noexcept {
    return kWorkloads[static_cast<std::size_t>(kind)];
}
std::optional<WorkloadKind> parse_workload(std::string_view name) noexcept {
    return find<WorkloadKind>(kWorkloads, name);
}
std::string_view key_order_name(KeyOrder order) noexcept {
    return kKeyOrders[static_cast<std::size_t>(order)];
}
std::optional<KeyOrder> parse_key_order(std::string_view name) noexcept {
    return find<KeyOrder>(kKeyOrders, name);
}

}  // namespace sluice::bench
