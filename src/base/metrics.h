// Counters, gauges and histograms, and the registry that an exporter reads.
//
// The registry is passed to whoever records (there is no global one). A metric is registered once,
// at construction of its owner, with a fixed set of labels; the reference stays valid as long as
// the registry. Metrics of one name and different labels form a family and must agree in type (and
// bounds); the same name with the same labels twice is a programmer's error.
//
// Recording may happen on any thread and any fiber; it neither blocks, suspends nor allocates.
// Counters and histograms are divided into shards by processor, so that workers do not share cache
// lines. Cost: a counter 4 ns, a histogram 7 ns (base_bench: BM_Counter, BM_MetricsHistogram).
// Registration and collect() take a lock and allocate; they are not for hot paths.
// Source: the Prometheus data model and text format 0.0.4; names come from the etcd list where the
// thing is the same.
//
//   metrics::Registry registry;
//   auto& puts = registry.counter("etcd_mvcc_put_total", "Total number of puts.");
//   auto& fsync = registry.histogram("etcd_disk_wal_fsync_duration_seconds", "...",
//                                    metrics::exponential_bounds(0.001, 2, 14));
//   auto& ok = registry.counter("grpc_server_handled_total", "...", {{"grpc_code", "OK"}});
//   puts.add();  fsync.observe(seconds);
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class Type : std::uint8_t { kCounter, kGauge, kHistogram };

// Only grows.
class Counter {
  public:
    void add(std::uint64_t by = 1) noexcept;
    std::uint64_t value() const noexcept;

  private:
    friend class Registry;
    struct alignas(64) Shard {
        std::atomic<std::uint64_t> value{0};  // relaxed: a statistic, it orders nothing
    };
    explicit Counter(unsigned shards);

    const unsigned mask_;
    std::unique_ptr<Shard[]> shards_;
};

// Goes up and down.
class Gauge {
  public:
    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t by = 1) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
    void sub(std::int64_t by = 1) noexcept { add(-by); }
    std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    friend class Registry;
    Gauge() = default;

    std::atomic<std::int64_t> value_{0};  // relaxed: a statistic, it orders nothing
};

// What a histogram held at one moment: counts[i] values were <= bounds[i] and above the bound
// before; counts has one more for everything above the last bound.
struct HistogramSnapshot {
    std::vector<double> bounds;
    std::vector<std::uint64_t> counts;
    double sum = 0;

    std::uint64_t count() const noexcept;
};

// Counts values in fixed buckets, in the unit that the metric's name ends with (seconds, bytes).
class Histogram {
  public:
    void observe(double value) noexcept;
    HistogramSnapshot snapshot() const;

  private:
    friend class Registry;
    struct alignas(64) Shard {
        std::atomic<double> sum{0};
        std::unique_ptr<std::atomic<std::uint64_t>[]> counts;
    };
    Histogram(unsigned shards, std::span<const double> bounds);

    const std::vector<double> bounds_;
    const unsigned mask_;
    std::unique_ptr<Shard[]> shards_;
};

// {start, start*factor, ...}: `count` bounds. Prometheus client libraries call it
// ExponentialBuckets.
std::vector<double> exponential_bounds(double start, double factor, std::size_t count);

// Receives everything a registry holds, family by family: first family(), then its samples.
class Visitor {
  public:
    virtual ~Visitor() = default;
    virtual void family(std::string_view name, std::string_view help, Type type) = 0;
    virtual void value(const Labels& labels, double value) = 0;
    virtual void histogram(const Labels& labels, const HistogramSnapshot& snapshot) = 0;
};

class Registry {
  public:
    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
    Histogram& histogram(std::string_view name, std::string_view help,
                         std::span<const double> bounds, Labels labels = {});

    // A metric whose value is computed when it is collected, on the collector's thread, which must
    // be allowed to: `read` takes only short locks. What it refers to must outlive the registry.
    void computed(std::string_view name, std::string_view help, Type type,
                  std::function<double()> read, Labels labels = {});

    // Whole families produced when collected (process figures, stage histograms); same rules.
    void add_source(std::function<void(Visitor&)> source);

    // Visits the families in order of their names, then the sources in order of registration.
    void collect(Visitor& visitor) const;

  private:
    struct Metric;
    struct Family;

    Metric& add_metric(std::string_view name, std::string_view help, Type type, Labels labels);

    const unsigned shards_;
    mutable std::mutex mutex_;  // guards families_ and sources_, not the metrics' values
    std::vector<std::unique_ptr<Family>> families_;  // sorted by name
    std::vector<std::function<void(Visitor&)>> sources_;
};

}  // namespace sluice::metrics
