#include "observe/process_metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_dir_testing.h"
#include "observe/prometheus.h"

namespace sluice::observe {
namespace {

// A /proc of our own.
class FakeProc {
  public:
    FakeProc() { std::filesystem::create_directories(path() + "/self/fd"); }

    void write(const std::string& name, const std::string& text) {
        std::ofstream(dir_.path(name)) << text;
    }
    const std::string& path() const { return dir_.path(); }

  private:
    TemporaryDir dir_;
};

double sample(const std::string& text, const std::string& name) {
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(at + name.size() + 2));
}

TEST(ProcessMetrics, ReadsTheFieldsOfProc) {
    FakeProc proc;
    proc.write("stat", "cpu 1 2 3\nbtime 1700000000\n");
    proc.write("self/stat",
               "77 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 250 150 13 14 15 16 17 18 500 4096000 25 99\n");
    proc.write("self/limits",
               "Limit                     Soft Limit           Hard Limit           Units\n"
               "Max open files            1024                 524288               files\n"
               "Max address space         unlimited            unlimited            bytes\n");
    for (const char* fd : {"self/fd/0", "self/fd/1", "self/fd/7"}) proc.write(fd, "");
    metrics::Registry registry;
    add_process_metrics(registry, proc.path());
    const std::string text = prometheus_text(registry);
    const auto hertz = static_cast<double>(sysconf(_SC_CLK_TCK));
    EXPECT_DOUBLE_EQ(sample(text, "process_cpu_seconds_total"), 400 / hertz);
    EXPECT_DOUBLE_EQ(sample(text, "process_start_time_seconds"), 1'700'000'000 + 500 / hertz);
    EXPECT_DOUBLE_EQ(sample(text, "process_virtual_memory_bytes"), 4'096'000);
    EXPECT_DOUBLE_EQ(sample(text, "process_resident_memory_bytes"),
                     25.0 * static_cast<double>(sysconf(_SC_PAGESIZE)));
    EXPECT_DOUBLE_EQ(sample(text, "process_open_fds"), 3);
    EXPECT_DOUBLE_EQ(sample(text, "os_fd_used"), 3);
    EXPECT_DOUBLE_EQ(sample(text, "process_max_fds"), 1024);
    EXPECT_DOUBLE_EQ(sample(text, "os_fd_limit"), 1024);
    EXPECT_DOUBLE_EQ(sample(text, "process_virtual_memory_max_bytes"), 18446744073709551615.0);
}

TEST(ProcessMetrics, ShowsThisProcess) {
    metrics::Registry registry;
    add_process_metrics(registry);
    const std::string text = prometheus_text(registry);
    EXPECT_GT(sample(text, "process_resident_memory_bytes"), 100'000);
    EXPECT_GE(sample(text, "process_open_fds"), 3);
    EXPECT_GT(sample(text, "process_start_time_seconds"), 1e9);
}

TEST(ProcessMetrics, LeavesOutWhatCannotBeRead) {
    const FakeProc proc;
    metrics::Registry registry;
    add_process_metrics(registry, proc.path());
    const std::string text = prometheus_text(registry);
    EXPECT_EQ(text.find("process_cpu_seconds_total"), std::string::npos);
    EXPECT_EQ(sample("\n" + text, "process_open_fds"), 0);
}

}  // namespace
}  // namespace sluice::observe
