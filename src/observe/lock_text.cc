#include "observe/lock_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/limits.h"
#include "rt/backtrace.h"

namespace sluice::observe {
namespace {

bool is_of_a_lock(std::string_view symbol) {
    static constexpr std::string_view kClasses[] = {
        "Mutex::", "RwMutex::", "MutexGuard::", "WriteGuard::", "ReadGuard::", "LockWait::"};
    constexpr std::string_view kNamespace = "sluice::sync::";
    if (!symbol.starts_with(kNamespace)) return false;
    symbol.remove_prefix(kNamespace.size());
    return std::ranges::any_of(kClasses, [&](auto name) { return symbol.starts_with(name); });
}

std::string millis(TimeNs time_ns) {
    return fmt::format("{:.3f} ms", static_cast<double>(time_ns) / 1e6);
}

void append_party(std::string& text, std::string_view role, const rt::LockParty& party) {
    const auto out = std::back_inserter(text);
    if (party.fiber == 0) {
        fmt::format_to(out, "  {}: not known\n", role);
        return;
    }
    fmt::format_to(out, "  {}: fiber {} \"{}\"\n", role, party.fiber, party.name.data());
    bool outside = false;
    for (const std::uintptr_t address : party.frames) {
        if (address == 0) break;
        const std::string symbol = rt::symbol_at(address);
        outside = outside || !is_of_a_lock(symbol);
        if (outside) fmt::format_to(out, "    {}\n", symbol);
    }
}

}  // namespace

std::string lock_text(const rt::LockReport& report) {
    const rt::LockTotals& totals = report.totals;
    std::string text = fmt::format(
        "{} waits for locks, {} of {} us and more; {} in all\n"
        "below: each of {} us and more, and one in {} of the shorter ones, which counts as many; "
        "{}, of {}, found no room\n",
        totals.waits, totals.long_waits, limits::kLockLongWaitNs / kMicrosecond,
        millis(totals.total_ns), limits::kLockShortWaitNs / kMicrosecond,
        limits::kLockWaitsPerSample, report.dropped_waits, millis(report.dropped_ns));
    for (const rt::LockContention& row : report.rows) {
        fmt::format_to(std::back_inserter(text),
                       "\nlock {}: {} waits, {} of {} us and more, {} given up; {} in all, {} the "
                       "longest\n",
                       row.lock, row.waits, row.long_waits, limits::kLockLongWaitNs / kMicrosecond,
                       row.given_up, millis(row.total_ns), millis(row.longest_ns));
        append_party(text, "waiter", row.waiter);
        append_party(text, "holder", row.holder);
    }
    return text;
}

}  // namespace sluice::observe
