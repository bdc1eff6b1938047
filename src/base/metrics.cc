#include "base/metrics.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <thread>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::metrics {
namespace {

unsigned shard_count() {
    const unsigned processors = std::max(1u, std::thread::hardware_concurrency());
    return std::min(std::bit_ceil(processors), limits::kMetricShardsMax);
}

// A call into the C library (which reads the kernel's per-thread area), so that no compiler caches
// the processor's number across a fiber switch. A stale answer only costs a shared cache line.
unsigned current_shard(unsigned mask) noexcept {
    return static_cast<unsigned>(sched_getcpu()) & mask;
}

bool valid_name(std::string_view name) {
    const auto legal = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == ':';
    };
    return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
           std::all_of(name.begin(), name.end(), legal);
}

}  // namespace

Counter::Counter(unsigned shards) : mask_(shards - 1), shards_(std::make_unique<Shard[]>(shards)) {
    SLUICE_CHECK(std::has_single_bit(shards));
}

void Counter::add(std::uint64_t by) noexcept {
    shards_[current_shard(mask_)].value.fetch_add(by, std::memory_order_relaxed);
}

std::uint64_t Counter::value() const noexcept {
    std::uint64_t total = 0;
    for (unsigned i = 0; i <= mask_; ++i) total += shards_[i].value.load(std::memory_order_relaxed);
    return total;
}

std::uint64_t HistogramSnapshot::count() const noexcept {
    std::uint64_t total = 0;
    for (const std::uint64_t n : counts) total += n;
    return total;
}

Histogram::Histogram(unsigned shards, std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()),
      mask_(shards - 1),
      shards_(std::make_unique<Shard[]>(shards)) {
    SLUICE_CHECK(std::has_single_bit(shards));
    SLUICE_CHECK(!bounds_.empty() && bounds_.size() <= limits::kMetricBucketsMax);
    SLUICE_CHECK(std::is_sorted(bounds_.begin(), bounds_.end(), std::less_equal<>()));
    for (unsigned i = 0; i < shards; ++i)
        shards_[i].counts = std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1);
}

void Histogram::observe(double value) noexcept {
    const auto above = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    const auto bucket = static_cast<std::size_t>(above - bounds_.begin());
    SLUICE_ASSERT(bucket <= bounds_.size());
    Shard& shard = shards_[current_shard(mask_)];
    shard.counts[bucket].fetch_add(1, std::memory_order_relaxed);
    shard.sum.fetch_add(value, std::memory_order_relaxed);
}

HistogramSnapshot Histogram::snapshot() const {
    HistogramSnapshot result{bounds_, std::vector<std::uint64_t>(bounds_.size() + 1), 0};
    for (unsigned i = 0; i <= mask_; ++i) {
        result.sum += shards_[i].sum.load(std::memory_order_relaxed);
        for (std::size_t b = 0; b < result.counts.size(); ++b)
            result.counts[b] += shards_[i].counts[b].load(std::memory_order_relaxed);
    }
    return result;
}

std::vector<double> exponential_bounds(double start, double factor, std::size_t count) {
    SLUICE_CHECK(start > 0 && factor > 1);
    std::vector<double> bounds;
    for (double bound = start; bounds.size() < count; bound *= factor) bounds.push_back(bound);
    return bounds;
}

struct Registry::Metric {
    Labels labels;
    // Exactly one of these is set, by the family's type; `read` stands for counters and gauges.
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
    std::function<double()> read;

    void visit(Visitor& visitor) const {
        if (read) return visitor.value(labels, read());
        if (counter) return visitor.value(labels, static_cast<double>(counter->value()));
        if (gauge) return visitor.value(labels, static_cast<double>(gauge->value()));
        SLUICE_CHECK(histogram != nullptr);
        visitor.histogram(labels, histogram->snapshot());
    }
};

struct Registry::Family {
    std::string name;
    std::string help;
    Type type;
    std::vector<std::unique_ptr<Metric>> metrics;
};

Registry::Registry() : shards_(shard_count()) {}
Registry::~Registry() = default;

Registry::Metric& Registry::add_metric(std::string_view name, std::string_view help, Type type,
                                       Labels labels) {
    SLUICE_CHECK(valid_name(name));
    const auto before = [](const auto& family, std::string_view n) { return family->name < n; };
    auto at = std::lower_bound(families_.begin(), families_.end(), name, before);
    if (at == families_.end() || (*at)->name != name) {
        auto family =
            std::make_unique<Family>(Family{std::string(name), std::string(help), type, {}});
        at = families_.insert(at, std::move(family));
    }
    Family& family = **at;
    SLUICE_CHECK(family.type == type);
    SLUICE_CHECK(family.metrics.size() < limits::kMetricFamilySizeMax);
    for (const auto& metric : family.metrics) SLUICE_CHECK(metric->labels != labels);
    family.metrics.push_back(std::make_unique<Metric>());
    family.metrics.back()->labels = std::move(labels);
    return *family.metrics.back();
}

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex_);
    Metric& metric = add_metric(name, help, Type::kCounter, std::move(labels));
    metric.counter.reset(new Counter(shards_));
    return *metric.counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
    const std::lock_guard lock(mutex_);
    Metric& metric = add_metric(name, help, Type::kGauge, std::move(labels));
    metric.gauge.reset(new Gauge());
    return *metric.gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               std::span<const double> bounds, Labels labels) {
    const std::lock_guard lock(mutex_);
    Metric& metric = add_metric(name, help, Type::kHistogram, std::move(labels));
    metric.histogram.reset(new Histogram(shards_, bounds));
    return *metric.histogram;
}

void Registry::computed(std::string_view name, std::string_view help, Type type,
                        std::function<double()> read, Labels labels) {
    SLUICE_CHECK(type != Type::kHistogram);
    SLUICE_CHECK(read != nullptr);
    const std::lock_guard lock(mutex_);
    add_metric(name, help, type, std::move(labels)).read = std::move(read);
}

void Registry::add_source(std::function<void(Visitor&)> source) {
    SLUICE_CHECK(source != nullptr);
    const std::lock_guard lock(mutex_);
    sources_.push_back(std::move(source));
}

void Registry::collect(Visitor& visitor) const {
    const std::lock_guard lock(mutex_);
    for (const auto& family : families_) {
        visitor.family(family->name, family->help, family->type);
        for (const auto& metric : family->metrics) metric->visit(visitor);
    }
    for (const auto& source : sources_) source(visitor);
}

}  // namespace sluice::metrics
