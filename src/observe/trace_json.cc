#include "observe/trace_json.h"

#include <fmt/format.h>

#include <map>

namespace sluice::observe {
namespace {

using rt::TraceEvent;
using rt::TraceKind;

class Writer {
  public:
    Writer(Ticks start, const TickClock& ticks) : start_(start), ticks_(ticks) {}

    void add(const TraceEvent& event) {
        switch (event.kind) {
            case TraceKind::kRun:
                running_[event.worker] = event;
                return;
            case TraceKind::kYield:
            case TraceKind::kPark:
            case TraceKind::kEnd:
                end_slice(event);
                return;
            default:
                mark(event);
        }
    }

    std::string text() && {
        for (const auto& [worker, run] : running_) {
            begin("B", run, fmt::format("fiber {}", run.fiber));
            text_ += '}';
        }
        return "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[" + std::move(text_) + "]}";
    }

  private:
    double micros(Ticks ticks) const { return static_cast<double>(ticks_.to_ns(ticks)) / 1e3; }

    // All but the closing brace.
    void begin(const char* phase, const TraceEvent& event, const std::string& name) {
        if (!text_.empty()) text_ += ",\n";
        fmt::format_to(std::back_inserter(text_),
                       R"({{"ph":"{}","pid":1,"tid":{},"ts":{:.3f},"name":"{}")", phase,
                       event.worker, micros(event.ticks - start_), name);
    }

    // A slice whose beginning the ring has lost is left out.
    void end_slice(const TraceEvent& event) {
        const auto run = running_.find(event.worker);
        if (run == running_.end() || run->second.fiber != event.fiber) return;
        begin("X", run->second, fmt::format("fiber {}", event.fiber));
        fmt::format_to(std::back_inserter(text_), R"(,"dur":{:.3f},"args":{{"then":"{}")",
                       micros(event.ticks - run->second.ticks), rt::trace_kind_name(event.kind));
        if (event.kind == TraceKind::kPark) {
            fmt::format_to(std::back_inserter(text_), R"(,"for":"{}","object":"{:#x}")",
                           rt::wait_reason_name(event.reason), event.other);
        }
        text_ += "}}";
        running_.erase(run);
    }

    void mark(const TraceEvent& event) {
        begin("i", event, rt::trace_kind_name(event.kind));
        fmt::format_to(std::back_inserter(text_),
                       R"(,"s":"t","args":{{"fiber":{},"by":{},"waited for":"{}","count":{}}}}})",
                       event.fiber, event.other, rt::wait_reason_name(event.reason), event.detail);
    }

    const Ticks start_;
    const TickClock& ticks_;
    std::map<std::uint16_t, TraceEvent> running_;  // by worker
    std::string text_;
};

}  // namespace

std::string trace_json(std::span<const TraceEvent> events, const TickClock& ticks) {
    Writer writer(events.empty() ? 0 : events.front().ticks, ticks);
    for (const TraceEvent& event : events) writer.add(event);
    return std::move(writer).text();
}

}  // namespace sluice::observe
