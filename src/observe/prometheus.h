// A registry as the text that Prometheus scrapes: the body of GET /metrics.
//
// Reads every metric once; a scrape of 500 samples costs about 0.1 ms and allocates. Any thread;
// does not suspend. It takes the registry's lock, and calls its computed metrics.
// Source: Prometheus exposition formats, text format 0.0.4.
//
//   response.header("content-type", observe::kPrometheusContentType);
//   response.body(observe::prometheus_text(registry));
#pragma once

#include <string>
#include <string_view>

#include "base/metrics.h"

namespace sluice::observe {

inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

std::string prometheus_text(const metrics::Registry& registry);

}  // namespace sluice::observe
