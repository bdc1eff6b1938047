// Runs a workload against an endpoint: connects, fills the keys, warms up, measures.
//
// Blocks the calling thread for the whole run and starts Options::threads of its own, so it is for
// the command and for tests, never for a fiber.
//
//   auto report = bench::run(options, clock);
//   if (!report) ...                      // could not connect, a connection broke, no such process
//   std::cout << report_text(options, *report);
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "bench/options.h"
#include "bench/report.h"

namespace sluice::bench {

// What in the options contradicts itself or the limits, if anything.
Status check_options(const Options& options);

Result<Report> run(Options options, const Clock& clock);

}  // namespace sluice::bench
