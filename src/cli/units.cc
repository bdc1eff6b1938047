#include "cli/units.h"

#include <fmt/core.h>

#include <charconv>

namespace sluice::cli {
namespace {

// Takes a decimal number off the front of `text`; false when there is none.
bool take_number(std::string_view& text, double& number) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

double take_duration_unit(std::string_view& text) {
    struct Unit {
        std::string_view name;
        double ns;
    };
    static constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    for (const Unit& unit : kUnits) {
        if (!text.starts_with(unit.name)) continue;
        text.remove_prefix(unit.name.size());
        return unit.ns;
    }
    return 0;
}

}  // namespace

Result<TimeNs> parse_duration(std::string_view text) {
    const auto bad = [whole = text] {
        return fail(Code::kInvalidArgument,
                    fmt::format("invalid duration \"{}\": want a number and a unit, like 10m or "
                                "100ms (units: h, m, s, ms, us, ns)",
                                whole));
    };
    if (text == "0") return 0;
    if (text.empty()) return bad();
    double total_ns = 0;
    while (!text.empty()) {
        double number = 0;
        if (!take_number(text, number)) return bad();
        const double unit_ns = take_duration_unit(text);
        if (unit_ns == 0) return bad();
        total_ns += number * unit_ns;
    }
    if (total_ns > 9e18) return bad();
    return static_cast<TimeNs>(total_ns);
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
    const auto bad = [whole = text] {
        return fail(Code::kInvalidArgument,
                    fmt::format("invalid size \"{}\": want bytes or a number and a unit, like "
                                "1572864 or 96MiB (units: KiB, MiB, GiB, TiB)",
                                whole));
    };
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return bad();
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    int shift = 0;
    if (!text.empty() && text != "B") {
        constexpr std::string_view kUnits = "KMGT";
        const auto at = kUnits.find(static_cast<char>(text[0] & ~0x20));
        const std::string_view rest = text.substr(1);
        if (at == std::string_view::npos) return bad();
        if (!rest.empty() && rest != "B" && rest != "iB" && rest != "b" && rest != "ib")
            return bad();
        shift = 10 * (static_cast<int>(at) + 1);
    }
    if (number > (UINT64_MAX >> shift)) return bad();
    return number << shift;
}

}  // namespace sluice::cli
