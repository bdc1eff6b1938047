// The watch hub under slow clients, and progress and the end of streams.
#include <gtest/gtest.h>

#include "base/limits.h"
#include "etcd/errors.h"
#include "etcd/watch_hub.h"
#include "etcd/watch_testing.h"

namespace sluice::etcd {
namespace {

TEST(WatchHub, SlowStreamHoldsBoundedBytesAndLosesNothing) {
    WatchWorld world({.stream_bytes_max = 4096, .recent_bytes_max = 8192});
    WatchClient slow(world);
    WatchClient fast(world);
    slow.stream().create({.key = "a"});
    fast.stream().create({.key = "a"});
    expect_created(slow, 0, 1);
    expect_created(fast, 0, 1);
    constexpr int kWrites = 500;
    for (int i = 0; i < kWrites; ++i) {
        world.put("a", std::to_string(i) + std::string(100, '.'));
        world.catch_up();
        EXPECT_LE(slow.stream().pending_bytes(), 4096U);
        fast.read_all();
    }
    EXPECT_EQ(fast.responses().size(), static_cast<std::size_t>(kWrites));
    EXPECT_EQ(world.hub().stats().slow, 1U);
    Revision expected = 2;
    while (slow.read(1000) || world.hub().stats().slow > 0) {
        world.catch_up();
        for (; !slow.responses().empty(); slow.responses().pop_front()) {
            for (const auto& event : slow.responses().front().events()) {
                EXPECT_EQ(event.kv().mod_revision(), expected++);
            }
        }
    }
    EXPECT_EQ(expected, kWrites + 2);
    world.put("a", "last");
    EXPECT_EQ(next_events(slow), "put a=last @502");
}

TEST(WatchHub, ResponseAboveTheBoundStillGetsThrough) {
    WatchWorld world({.stream_bytes_max = 1000});
    WatchClient client(world);
    client.stream().create({.key = "a"});
    client.stream().create({.key = "a"});
    world.put("a", std::string(5000, 'x'));
    EXPECT_EQ(world.hub().stats().slow, 2U);
    int seen = 0;
    for (int round = 0; round < 10; ++round) {
        client.read_all();
        for (; !client.responses().empty(); client.responses().pop_front()) {
            seen += client.responses().front().events_size();
        }
        world.catch_up();
    }
    EXPECT_EQ(seen, 2);
    EXPECT_EQ(world.hub().stats().slow, 0U);
}

TEST(WatchHub, OnlyAnswersMakeCongestion) {
    WatchWorld world({.stream_bytes_max = 1000});
    WatchClient client(world);
    client.stream().create({.key = "a"});
    expect_created(client, 0, 1);
    world.put("a", std::string(2 * limits::kWatchAnswerBytesMax, 'x'));
    EXPECT_GT(client.stream().pending_bytes(), 2 * limits::kWatchAnswerBytesMax);
    EXPECT_FALSE(client.stream().congested()) << "a large event is no fault of the client's";
    std::size_t requests = 0;
    while (!client.stream().congested()) {
        client.stream().create({.key = "a"});
        ASSERT_LT(++requests, limits::kWatchAnswerBytesMax / limits::kWatchMessageOverhead);
    }
    client.read_all();
    EXPECT_FALSE(client.stream().congested());
    EXPECT_EQ(client.responses().size(), requests + 1);
}

TEST(WatchHub, ManualProgressWaitsForEveryWatcher) {
    WatchWorld world({.recent_bytes_max = 0});
    WatchClient client(world);
    client.stream().request_progress();
    client.read_all();
    EXPECT_TRUE(client.responses().empty()) << "no watcher, no answer";
    world.put("a", "1");
    client.stream().create({.key = "a"});
    client.stream().create({.key = "a", .start_revision = 1});
    client.stream().request_progress();
    client.stream().request_progress();
    expect_created(client, 0, 2);
    expect_created(client, 1, 2);
    EXPECT_TRUE(client.responses().empty());
    world.catch_up();
    client.read_all();
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2");
    EXPECT_EQ(client.next().ShortDebugString(), "header { revision: 2 } watch_id: -1");
    EXPECT_TRUE(client.responses().empty()) << "several requests, one answer";
    client.stream().request_progress();
    client.read_all();
    EXPECT_EQ(client.next().watch_id(), -1);
}

TEST(WatchHub, CancellingTheLaggardReleasesTheProgress) {
    WatchWorld world({.recent_bytes_max = 0});
    world.put("a", "1");
    WatchClient client(world);
    client.stream().create({.key = "a"});
    client.stream().create({.key = "a", .start_revision = 1});
    client.stream().request_progress();
    client.stream().cancel(1);
    client.read_all();
    EXPECT_TRUE(client.responses().back().watch_id() == -1);
}

TEST(WatchHub, ProgressNotifyOnlyIfIdleAndInStep) {
    constexpr TimeNs kInterval = 10 * kSecond;
    WatchWorld world({.progress_interval_ns = kInterval});
    WatchClient client(world);
    client.stream().create({.key = "a", .watch_id = 1, .progress_notify = true});
    client.stream().create({.key = "a", .watch_id = 2});
    client.stream().create(
        {.key = "b", .start_revision = 100, .watch_id = 3, .progress_notify = true});
    client.read_all();
    client.responses().clear();
    const TimeNs start = world.clock.now;
    EXPECT_GE(world.progress_deadline, start + kInterval);
    EXPECT_LE(world.progress_deadline, start + kInterval + kInterval / 10);

    const auto tick = [&] {
        world.clock.now += kInterval + kInterval / 10;
        const TimeNs next = world.hub().progress_step();
        EXPECT_GT(next, world.clock.now);
        client.read_all();
    };
    EXPECT_EQ(world.hub().progress_step(), world.progress_deadline);
    client.read_all();
    EXPECT_TRUE(client.responses().empty());
    tick();
    EXPECT_EQ(client.next().ShortDebugString(), "header { revision: 1 } watch_id: 1");
    EXPECT_TRUE(client.responses().empty());

    world.put("a", "1");
    tick();  // elided: there was an event
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2");
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2");
    EXPECT_TRUE(client.responses().empty());
    world.put("other", "1");
    tick();
    EXPECT_EQ(client.next().ShortDebugString(), "header { revision: 3 } watch_id: 1");

    client.stream().cancel(1);
    client.stream().cancel(3);
    client.read_all();
    client.responses().clear();
    world.clock.now += 10 * kInterval;
    EXPECT_EQ(world.hub().progress_step(), kNever);
}

TEST(WatchHub, SignalsWhenTheQueueFills) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a"});
    EXPECT_EQ(client.signals(), 1);
    world.put("a", "1");
    EXPECT_EQ(client.signals(), 1);
    client.read_all();
    world.put("a", "2");
    EXPECT_EQ(client.signals(), 2);
}

TEST(WatchHub, ClosingAStreamInAnyStateLeavesNothing) {
    WatchWorld world({.stream_bytes_max = 500, .recent_bytes_max = 0});
    for (int i = 0; i < 5; ++i) world.put("a", std::string(100, 'x'));
    auto client = std::make_unique<WatchClient>(world);
    client->stream().create({.key = "a", .start_revision = 2});      // behind
    client->stream().create({.key = "a", .start_revision = 3});      // parked below
    client->stream().create({.key = "a", .progress_notify = true});  // in step
    client->stream().create({.key = "a", .start_revision = 50});     // ahead
    world.compact(3);
    world.catch_up();
    client->stream().request_progress();
    EXPECT_EQ(world.hub().stats().watchers, 4U);
    client.reset();
    const WatchStats stats = world.hub().stats();
    EXPECT_EQ(stats.watchers + stats.slow + stats.groups + stats.streams, 0U);
    EXPECT_EQ(world.hub().progress_step(), kNever);
    EXPECT_FALSE(world.catch_up_once());
}

}  // namespace
}  // namespace sluice::etcd
