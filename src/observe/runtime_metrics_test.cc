#include "observe/runtime_metrics.h"

#include <gtest/gtest.h>

#include "observe/prometheus.h"
#include "rt/runtime.h"

namespace sluice::observe {
namespace {

double sample(const std::string& text, const std::string& name) {
    const auto at = text.find("\n" + name + " ");
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(at + name.size() + 2));
}

class RuntimeMetrics : public testing::Test {
  protected:
    RuntimeMetrics() { add_runtime_metrics(registry_, runtime_); }

    rt::Runtime runtime_{{.workers = 1, .monitor = false}};  // nobody counts stalls
    metrics::Registry registry_;
};

TEST_F(RuntimeMetrics, ShowsWhatTheRuntimeCounts) {
    std::string during;
    runtime_.run([&] {
        rt::spawn([] {});
        rt::yield();
        rt::spawn([] {});
        during = prometheus_text(registry_);
    });
    EXPECT_EQ(sample(during, "sluice_runtime_fibers"), 2);  // this one and the second
    const std::string after = prometheus_text(registry_);
    EXPECT_EQ(sample(after, "sluice_runtime_fibers"), 0);
    EXPECT_EQ(sample(after, "sluice_runtime_switches_total"),
              static_cast<double>(runtime_.stats().switches));
    EXPECT_GE(sample(after, "sluice_runtime_switches_total"), 4);
    EXPECT_EQ(sample(after, "sluice_runtime_stalls_suppressed_total"), 0);
    EXPECT_EQ(sample(after, "sluice_runtime_lock_waits_total"), 0);
}

TEST_F(RuntimeMetrics, ShowsTheWaitsForLocks) {
    runtime_.run([] {
        rt::count_lock_wait(500'000);
        rt::count_lock_wait(1'000);
    });
    const std::string text = prometheus_text(registry_);
    EXPECT_EQ(sample(text, "sluice_runtime_lock_waits_total"), 2);
    EXPECT_EQ(sample(text, "sluice_runtime_lock_long_waits_total"), 1);
    EXPECT_DOUBLE_EQ(sample(text, "sluice_runtime_lock_wait_seconds_total"), 0.000501);
}

TEST_F(RuntimeMetrics, ShowsHowDeepStacksWent) {
    constexpr int kFibers = 100;
    runtime_.run([] {
        for (int i = 0; i < kFibers; ++i) rt::spawn([] {}, {"shallow", rt::StackClass::kSmall});
    });
    const std::string text = prometheus_text(registry_);
    EXPECT_GE(sample(text, "sluice_runtime_stacks{size=\"small\"}"), kFibers);
    EXPECT_EQ(sample(text, "sluice_runtime_stacks{size=\"large\"}"), 0);
    const double slot_bytes = sample(text, "sluice_runtime_stack_slot_bytes{size=\"small\"}");
    const double deepest = sample(text, "sluice_runtime_stack_high_water_bytes{size=\"small\"}");
    EXPECT_GT(slot_bytes, limits::kFiberStackSmallBytes);
    EXPECT_GE(deepest, 4096);
    EXPECT_LT(deepest, slot_bytes);
    const double named = sample(text, "sluice_runtime_fiber_stack_bytes{fiber=\"shallow\"}");
    EXPECT_GE(named, 4096);
    EXPECT_LE(named, deepest);
}

}  // namespace
}  // namespace sluice::observe
