#include "observe/prometheus.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::observe {
namespace {

TEST(PrometheusText, WritesEveryType) {
    metrics::Registry registry;
    registry.counter("etcd_mvcc_put_total", "Total number of puts.").add(3);
    registry.gauge("etcd_server_has_leader", "1 is existence, 0 is not.").set(1);
    const std::vector<double> bounds = {0.001, 0.5, 2};
    auto& histogram = registry.histogram("wal_seconds", "Time.", bounds, {{"disk", "a"}});
    for (const double value : {0.0005, 0.25, 0.25, 8.0}) histogram.observe(value);
    EXPECT_EQ(prometheus_text(registry),
              "# HELP etcd_mvcc_put_total Total number of puts.\n"
              "# TYPE etcd_mvcc_put_total counter\n"
              "etcd_mvcc_put_total 3\n"
              "# HELP etcd_server_has_leader 1 is existence, 0 is not.\n"
              "# TYPE etcd_server_has_leader gauge\n"
              "etcd_server_has_leader 1\n"
              "# HELP wal_seconds Time.\n"
              "# TYPE wal_seconds histogram\n"
              "wal_seconds_bucket{disk=\"a\",le=\"0.001\"} 1\n"
              "wal_seconds_bucket{disk=\"a\",le=\"0.5\"} 3\n"
              "wal_seconds_bucket{disk=\"a\",le=\"2\"} 3\n"
              "wal_seconds_bucket{disk=\"a\",le=\"+Inf\"} 4\n"
              "wal_seconds_sum{disk=\"a\"} 8.5005\n"
              "wal_seconds_count{disk=\"a\"} 4\n");
}

TEST(PrometheusText, EscapesLabelsAndHelp) {
    metrics::Registry registry;
    registry.gauge("g", "a \"b\" \\ c\nd", {{"x", "a\"b\\c\nd"}, {"y", ""}});
    EXPECT_EQ(prometheus_text(registry),
              "# HELP g a \"b\" \\\\ c\\nd\n# TYPE g gauge\ng{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 0\n");
}

}  // namespace
}  // namespace sluice::observe
