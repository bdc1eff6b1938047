// The event rings, what the scheduler writes into them, and the fibers' accounts.
#include <gtest/gtest.h>

#include <thread>

#include "rt/baton_testing.h"
#include "rt/blocking.h"
#include "rt/outside_record.h"
#include "rt/runtime.h"
#include "rt/simulation.h"
#include "rt/timer.h"
#include "rt/trace_ring.h"

namespace sluice::rt {
namespace {

TEST(TraceRing, KeepsTheLastEventsInOrder) {
    TraceRing ring(7);
    constexpr std::uint64_t kEvents = limits::kTraceRingEvents + 100;
    for (std::uint64_t i = 0; i < kEvents; ++i) {
        ring.record(TraceKind::kPark, 1000 + i, i, 2 * i, WaitReason::kMutex, 9);
    }
    std::vector<TraceEvent> events;
    ring.read(events);
    // The one whose slot would be written next counts as overwritten.
    ASSERT_EQ(events.size(), limits::kTraceRingEvents - 1);
    for (std::size_t i = 0; i < events.size(); ++i) {
        const std::uint64_t number = kEvents - events.size() + i;
        EXPECT_EQ(events[i].number, number);
        EXPECT_EQ(events[i].ticks, 1000 + number);
        EXPECT_EQ(events[i].fiber, number);
        EXPECT_EQ(events[i].other, 2 * number);
        EXPECT_EQ(events[i].detail, 9u);
        EXPECT_EQ(events[i].worker, 7);
        EXPECT_EQ(events[i].kind, TraceKind::kPark);
        EXPECT_EQ(events[i].reason, WaitReason::kMutex);
    }
}

TEST(TraceRing, ARunThatFollowsAYieldIsReadAsTwoEvents) {
    TraceRing ring(0);
    ring.record_run(10, 1, 0);
    ring.record_run(20, 2, 1);
    std::vector<TraceEvent> events;
    ring.read(events);
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].kind, TraceKind::kRun);
    EXPECT_EQ(events[1].kind, TraceKind::kYield);
    EXPECT_EQ(events[1].fiber, 1u);
    EXPECT_EQ(events[1].ticks, 20u);
    EXPECT_EQ(events[2].kind, TraceKind::kRun);
    EXPECT_EQ(events[2].fiber, 2u);
    EXPECT_EQ(events[2].other, 0u);
    EXPECT_EQ(ring.recorded(), 2u);
}

// Whatever a reader gets while the writer overwrites the ring is whole.
TEST(TraceRing, ReadersSeeOnlyWholeEvents) {
    TraceRing ring(0);
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (std::uint64_t i = 1; !stop.load(std::memory_order_relaxed); ++i) {
            ring.record(TraceKind::kReady, i, i, i, WaitReason::kIo, static_cast<std::uint32_t>(i));
        }
    });
    std::uint64_t seen = 0;
    for (int round = 0; round < 200 || seen == 0; ++round) {
        std::vector<TraceEvent> events;
        ring.read(events);
        for (const TraceEvent& event : events) {
            ASSERT_EQ(event.fiber, event.number + 1);
            ASSERT_EQ(event.ticks, event.fiber);
            ASSERT_EQ(event.other, event.fiber);
            ASSERT_EQ(event.detail, static_cast<std::uint32_t>(event.fiber));
            ASSERT_EQ(event.kind, TraceKind::kReady);
            ++seen;
        }
    }
    stop = true;
    writer.join();
}

std::vector<TraceKind> kinds_of(const std::vector<TraceEvent>& events, std::uint64_t fiber) {
    std::vector<TraceKind> kinds;
    for (const TraceEvent& event : events) {
        if (event.fiber == fiber) kinds.push_back(event.kind);
    }
    return kinds;
}

TEST(Trace, TellsAFibersWholeLife) {
    Options options;
    options.workers = 1;
    Runtime runtime(std::move(options));
    std::uint64_t mother = 0;
    std::uint64_t child = 0;
    int thing = 0;
    runtime.run([&] {
        mother = current()->id();
        Fiber* waiting = nullptr;
        Baton done;
        spawn([&] {
            child = current()->id();
            yield();
            park(
                WaitReason::kChannel,
                [&](Fiber* fiber) {
                    waiting = fiber;
                    return true;
                },
                &thing);
            blocking([] {});
            done.post();
        });
        while (waiting == nullptr) yield();
        ready(waiting);
        done.wait();
    });
    const std::vector<TraceEvent> events = runtime.trace();
    using enum TraceKind;
    EXPECT_EQ(kinds_of(events, child),
              (std::vector{kCreate, kRun, kYield, kRun, kPark, kReady, kRun, kPark, kBlockingBegin,
                           kBlockingEnd, kReady, kRun, kEnd}));
    std::vector<const TraceEvent*> parks, readies;
    for (const TraceEvent& event : events) {
        if (event.fiber != child) continue;
        if (event.kind == kCreate) EXPECT_EQ(event.other, mother);
        if (event.kind == kPark) parks.push_back(&event);
        if (event.kind == kReady) readies.push_back(&event);
    }
    ASSERT_EQ(parks.size(), 2u);
    EXPECT_EQ(parks[0]->reason, WaitReason::kChannel);
    EXPECT_EQ(parks[0]->other, reinterpret_cast<std::uintptr_t>(&thing));
    EXPECT_EQ(parks[1]->reason, WaitReason::kBlocking);
    ASSERT_EQ(readies.size(), 2u);
    EXPECT_EQ(readies[0]->other, mother);
    EXPECT_EQ(readies[0]->worker, 0);
    EXPECT_EQ(readies[1]->other, 0u) << "a thread of the pool has no fiber";
    EXPECT_EQ(readies[1]->worker, TraceEvent::kNoWorker);
}

// In virtual time each wait lasts exactly as long as its timer.
TEST(Account, HoldsWaitsByReason) {
    SimClock clock;
    Runtime runtime(simulated(clock, 1));
    runtime.run([] {
        struct Alarm : Timer {
            Fiber* fiber = current();
        };
        const auto wait = [](WaitReason reason, TimeNs time) {
            Alarm alarm;
            park(reason, [&](Fiber*) {
                alarm.arm(Runtime::current().clock().now_ns() + time,
                          [](Timer& timer) { ready(static_cast<Alarm&>(timer).fiber); });
                return true;
            });
        };
        wait(WaitReason::kMutex, 5'000);
        wait(WaitReason::kIo, 70'000);
        wait(WaitReason::kMutex, 2'000);
        const auto waits = current()->waits();
        EXPECT_EQ(waits[static_cast<unsigned>(WaitReason::kMutex)], 7'000);
        EXPECT_EQ(waits[static_cast<unsigned>(WaitReason::kIo)], 70'000);
        EXPECT_EQ(waits[static_cast<unsigned>(WaitReason::kChannel)], 0);
    });
}

TEST(OutsideRecord, FollowsTheRunningFiber) {
    Options options;
    options.workers = 1;
    Runtime runtime(std::move(options));
    EXPECT_EQ(outside_record().worker, 0u);
    runtime.run([] {
        const OutsideRecord* const record = &outside_record();  // one worker: one thread
        EXPECT_EQ(record->worker, 1u);
        EXPECT_EQ(record->fiber, current()->id());
        EXPECT_EQ(record->request, 0u);
        set_request(42, 3);
        Baton done;
        spawn([&] {
            EXPECT_EQ(record->fiber, current()->id());
            EXPECT_EQ(record->request, 0u) << "a new fiber works on nothing yet";
            set_request(43);
            done.post();
        });
        done.wait();
        EXPECT_EQ(record->request, 42u);
        EXPECT_EQ(record->phase, 3u);
        EXPECT_EQ(record->fiber, current()->id());
    });
    EXPECT_EQ(outside_record().worker, 0u);
    EXPECT_EQ(outside_record().fiber, 0u);
}

}  // namespace
}  // namespace sluice::rt
