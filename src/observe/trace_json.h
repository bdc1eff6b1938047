// The runtime's events as a file for Perfetto or chrome://tracing (Trace Event Format, JSON): a row
// for each worker with what it ran, and a mark for each fiber made ready.
#pragma once

#include <span>
#include <string>

#include "base/tick_clock.h"
#include "rt/trace_event.h"

namespace sluice::observe {

// `events` as rt::Runtime::trace() gives them. Times are microseconds since the first one. About
// 150 bytes an event.
std::string trace_json(std::span<const rt::TraceEvent> events, const TickClock& ticks);

}  // namespace sluice::observe
