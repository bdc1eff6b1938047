#include "observe/trace_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace sluice::observe {
namespace {

using rt::TraceEvent;
using rt::TraceKind;
using rt::WaitReason;
using testing::HasSubstr;
using testing::Not;

struct StoppedClock final : Clock {
    TimeNs now_ns() const override { return 0; }
    TimeNs wall_ns() const override { return 0; }
};

class TraceJson : public testing::Test {
  protected:
    StoppedClock clock_;
    TickClock ticks_{clock_, TickClock::Source::kClock};  // a tick is a nanosecond
};

TEST_F(TraceJson, AnEmptyTraceIsAFileToo) {
    EXPECT_EQ(trace_json({}, ticks_), R"({"displayTimeUnit":"ns","traceEvents":[]})");
}

TEST_F(TraceJson, ARunAndItsEndAreOneSlice) {
    const TraceEvent events[] = {
        {.ticks = 1'000, .fiber = 7, .worker = 1, .kind = TraceKind::kRun},
        {.ticks = 1'500,
         .fiber = 8,
         .other = 7,
         .worker = 1,
         .kind = TraceKind::kReady,
         .reason = WaitReason::kChannel},
        {.ticks = 3'250,
         .fiber = 7,
         .other = 0x10,
         .worker = 1,
         .kind = TraceKind::kPark,
         .reason = WaitReason::kMutex},
    };
    EXPECT_EQ(trace_json(events, ticks_),
              R"({"displayTimeUnit":"ns","traceEvents":[)"
              R"({"ph":"i","pid":1,"tid":1,"ts":0.500,"name":"ready","s":"t",)"
              R"("args":{"fiber":8,"by":7,"waited for":"channel","count":0}})"
              ",\n"
              R"({"ph":"X","pid":1,"tid":1,"ts":0.000,"name":"fiber 7","dur":2.250,)"
              R"("args":{"then":"park","for":"mutex","object":"0x10"}}]})");
}

TEST_F(TraceJson, SlicesThatAreCutAreToldApart) {
    const TraceEvent events[] = {
        {.ticks = 10, .fiber = 1, .worker = 0, .kind = TraceKind::kEnd},  // its start was lost
        {.ticks = 20, .fiber = 2, .worker = 0, .kind = TraceKind::kRun},  // it runs still
    };
    const std::string text = trace_json(events, ticks_);
    EXPECT_THAT(text, Not(HasSubstr("fiber 1")));
    EXPECT_THAT(text, HasSubstr(R"({"ph":"B","pid":1,"tid":0,"ts":0.010,"name":"fiber 2"})"));
}

}  // namespace
}  // namespace sluice::observe
