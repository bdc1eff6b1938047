#include "observe/process_metrics.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>

namespace sluice::observe {
namespace {

using metrics::Type;

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
}

// What follows `key` at the start of a line, up to the end of the line.
std::optional<std::string> line_after(const std::string& text, const std::string& key) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(key)) return line.substr(key.size());
    return std::nullopt;
}

void show(metrics::Visitor& visitor, std::string_view name, std::string_view help, Type type,
          double value) {
    visitor.family(name, help, type);
    visitor.value({}, value);
}

struct Stat {
    double utime_ticks = 0;
    double stime_ticks = 0;
    double start_ticks = 0;
    double virtual_bytes = 0;
    double resident_pages = 0;
};

// proc(5): the command's name is in parentheses and may hold anything, so fields are counted from
// the last parenthesis on; the first one after it is field 3.
std::optional<Stat> parse_stat(const std::string& text) {
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(text.substr(name_end + 1));
    Stat stat;
    std::string field;
    for (int number = 3; number <= 24; ++number) {
        if (!(fields >> field)) return std::nullopt;
        if (number == 14) stat.utime_ticks = std::stod(field);
        if (number == 15) stat.stime_ticks = std::stod(field);
        if (number == 22) stat.start_ticks = std::stod(field);
        if (number == 23) stat.virtual_bytes = std::stod(field);
        if (number == 24) stat.resident_pages = std::stod(field);
    }
    return stat;
}

void show_stat(metrics::Visitor& visitor, const std::string& proc) {
    const auto text = read_file(proc + "/self/stat");
    const auto stat = text ? parse_stat(*text) : std::nullopt;
    if (!stat) return;
    const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    show(visitor, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
         Type::kCounter, (stat->utime_ticks + stat->stime_ticks) / ticks_per_second);
    show(visitor, "process_resident_memory_bytes", "Resident memory size in bytes.", Type::kGauge,
         stat->resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
    show(visitor, "process_virtual_memory_bytes", "Virtual memory size in bytes.", Type::kGauge,
         stat->virtual_bytes);
    const auto boot = line_after(read_file(proc + "/stat").value_or(""), "btime ");
    if (!boot) return;
    show(visitor, "process_start_time_seconds",
         "Start time of the process since the Unix epoch in seconds.", Type::kGauge,
         std::stod(*boot) + stat->start_ticks / ticks_per_second);
}

double open_descriptors(const std::string& proc) {
    std::error_code error;
    std::filesystem::directory_iterator entries(proc + "/self/fd", error);
    double count = 0;
    for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error))
        ++count;
    return count;
}

void show_limits(metrics::Visitor& visitor, const std::string& proc) {
    const double open = open_descriptors(proc);
    show(visitor, "process_open_fds", "Number of open file descriptors.", Type::kGauge, open);
    show(visitor, "os_fd_used", "The number of used file descriptors.", Type::kGauge, open);
    const auto limits = read_file(proc + "/self/limits").value_or("");
    const auto number = [](const std::optional<std::string>& columns) -> std::optional<double> {
        std::string soft;
        if (!columns || !(std::istringstream(*columns) >> soft)) return std::nullopt;
        // What client libraries show for no limit is the largest value.
        if (soft == "unlimited")
            return static_cast<double>(std::numeric_limits<std::uint64_t>::max());
        return std::stod(soft);
    };
    if (const auto files = number(line_after(limits, "Max open files"))) {
        show(visitor, "process_max_fds", "Maximum number of open file descriptors.", Type::kGauge,
             *files);
        show(visitor, "os_fd_limit", "The file descriptor limit.", Type::kGauge, *files);
    }
    if (const auto space = number(line_after(limits, "Max address space"))) {
        show(visitor, "process_virtual_memory_max_bytes",
             "Maximum amount of virtual memory available in bytes.", Type::kGauge, *space);
    }
}

}  // namespace

void add_process_metrics(metrics::Registry& registry, const std::string& proc) {
    registry.add_source([proc](metrics::Visitor& visitor) {
        show_stat(visitor, proc);
        show_limits(visitor, proc);
    });
}

}  // namespace sluice::observe
