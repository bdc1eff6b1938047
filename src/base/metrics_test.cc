#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::metrics {
namespace {

// Writes down what it is shown, one line a sample.
class Transcript final : public Visitor {
  public:
    void family(std::string_view name, std::string_view, Type) override { name_ = name; }
    void value(const Labels& labels, double value) override {
        lines.push_back(name_ + show(labels) + "=" + std::to_string(static_cast<long>(value)));
    }
    void histogram(const Labels& labels, const HistogramSnapshot& snapshot) override {
        std::string line = name_ + show(labels) + "=";
        for (const auto count : snapshot.counts) line += std::to_string(count) + ",";
        lines.push_back(line);
    }
    std::vector<std::string> lines;

  private:
    static std::string show(const Labels& labels) {
        std::string text;
        for (const auto& [name, value] : labels) text += "{" + name + ":" + value + "}";
        return text;
    }
    std::string name_;
};

TEST(Registry, ShowsFamiliesInOrderOfTheirNames) {
    Registry registry;
    registry.gauge("b_gauge", "").set(-3);
    registry.counter("a_total", "", {{"code", "OK"}}).add(2);
    registry.counter("a_total", "", {{"code", "Canceled"}}).add(5);
    registry.computed("c_now", "", Type::kGauge, [] { return 7.0; });
    registry.add_source([](Visitor& visitor) {
        visitor.family("a_source", "", Type::kCounter);
        visitor.value({}, 1);
    });
    Transcript seen;
    registry.collect(seen);
    EXPECT_EQ(seen.lines,
              (std::vector<std::string>{"a_total{code:OK}=2", "a_total{code:Canceled}=5",
                                        "b_gauge=-3", "c_now=7", "a_source=1"}));
}

TEST(Counter, LosesNothingUnderThreads) {
    Registry registry;
    Counter& counter = registry.counter("hits_total", "");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 20'000; ++i) counter.add();
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(counter.value(), 80'000u);
}

TEST(Histogram, PutsABoundIntoItsOwnBucket) {
    Registry registry;
    const std::vector<double> bounds = {1, 2, 4};
    Histogram& histogram = registry.histogram("size_bytes", "", bounds);
    for (const double value : {0.5, 1.0, 1.5, 2.0, 4.0, 4.5, 100.0}) histogram.observe(value);
    const HistogramSnapshot snapshot = histogram.snapshot();
    EXPECT_EQ(snapshot.counts, (std::vector<std::uint64_t>{2, 2, 1, 2}));
    EXPECT_EQ(snapshot.count(), 7u);
    EXPECT_DOUBLE_EQ(snapshot.sum, 113.5);
}

TEST(Histogram, LosesNothingUnderThreads) {
    Registry registry;
    Histogram& histogram = registry.histogram("t_seconds", "", exponential_bounds(1, 2, 4));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i) histogram.observe(i % 10);
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(histogram.snapshot().count(), 40'000u);
    EXPECT_DOUBLE_EQ(histogram.snapshot().sum, 4 * 45'000.0);
}

TEST(ExponentialBounds, Multiply) {
    EXPECT_EQ(exponential_bounds(0.5, 2, 4), (std::vector<double>{0.5, 1, 2, 4}));
}

TEST(RegistryDeathTest, RefusesTheSameMetricTwiceAndBadNames) {
    Registry registry;
    registry.counter("a_total", "");
    EXPECT_DEATH(registry.counter("a_total", ""), "check failed");
    EXPECT_DEATH(registry.gauge("a_total", "", {{"x", "y"}}), "check failed");
    EXPECT_DEATH(registry.counter("a-total", ""), "check failed");
}

}  // namespace
}  // namespace sluice::metrics
