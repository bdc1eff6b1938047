// The rules of etcd's Watch service, one by one. What slow clients, progress and lost streams ask
// of it is in watch_flow_test.cc; the random test is watch_model_test.cc.
#include "etcd/watch_hub.h"

#include <gtest/gtest.h>

#include "etcd/errors.h"
#include "etcd/watch_testing.h"

namespace sluice::etcd {
namespace {

TEST(WatchHub, CreatedThenEventsFromNowOn) {
    WatchWorld world({.cluster_id = 11, .member_id = 12});
    world.hub().set_raft_term(3);
    WatchClient client(world);
    world.put("a", "0");
    client.stream().create({.key = "a"});
    expect_created(client, 0, 2);
    world.put("a", "1");
    world.put("b", "1");
    world.remove("a");
    client.read_all();
    auto response = client.next();
    EXPECT_EQ(response.ShortDebugString(),
              "header { cluster_id: 11 member_id: 12 revision: 3 raft_term: 3 } "
              "events { kv { key: \"a\" create_revision: 2 mod_revision: 3 version: 2 "
              "value: \"1\" } }");
    response = client.next();
    EXPECT_EQ(response.header().revision(), 5);
    EXPECT_EQ(text_of_events(response), "delete a @5");
    EXPECT_TRUE(client.responses().empty());
    EXPECT_FALSE(world.wanted);
}

TEST(WatchHub, EmptyKeyIsTheSmallestKey) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.range_end = std::string_view("\0", 1)});
    expect_created(client, 0, 1);
    world.put("anything", "1");
    EXPECT_EQ(next_events(client), "put anything=1 @2");
}

TEST(WatchHub, IdsAreChosenPerStream) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a", .watch_id = 1});
    expect_created(client, 1, 1);
    client.stream().create({.key = "a"});
    expect_created(client, 0, 1);
    client.stream().create({.key = "a"});
    expect_created(client, 2, 1);
    client.stream().create({.key = "a", .watch_id = 2});
    expect_refused(client, "mvcc: duplicate watch ID provided on the WatchStream");
    client.stream().cancel(2);
    client.read_all();
    EXPECT_TRUE(client.next().canceled());
    client.stream().create({.key = "a", .watch_id = 2});
    expect_created(client, 2, 1);
    WatchClient other(world);
    other.stream().create({.key = "a"});
    expect_created(other, 0, 1);
}

TEST(WatchHub, RefusesWhatEtcdRefuses) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = -1});
    expect_refused(client, "etcdserver: mvcc: required revision has been compacted");
    client.stream().create({.key = "b", .range_end = "a"});
    expect_refused(client, "mvcc: watcher range is empty");
    client.stream().create({.key = "b", .range_end = "b"});
    expect_refused(client, "mvcc: watcher range is empty");
    client.stream().refuse(errors::kPermissionDenied.text);
    expect_refused(client, "etcdserver: permission denied");
    EXPECT_EQ(world.hub().stats().watchers, 0U);
}

TEST(WatchHub, CancelIsAnsweredOnceAndEndsTheEvents) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a"});
    world.put("a", "1");
    client.stream().cancel(0);
    client.stream().cancel(0);
    client.stream().cancel(77);
    world.put("a", "2");
    expect_created(client, 0, 1);
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2");
    const auto canceled = client.next();
    EXPECT_TRUE(canceled.canceled());
    EXPECT_FALSE(canceled.created());
    EXPECT_EQ(canceled.watch_id(), 0);
    EXPECT_EQ(canceled.header().revision(), 2);
    EXPECT_TRUE(client.responses().empty());
    EXPECT_EQ(world.hub().stats().groups, 0U);
}

TEST(WatchHub, StartInThePastReadsHistoryThenFollows) {
    WatchWorld world({.recent_bytes_max = 0});
    for (int i = 1; i <= 4; ++i) world.put(i % 2 ? "a" : "b", std::to_string(i));
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 3});
    expect_created(client, 0, 5);
    EXPECT_TRUE(world.wanted);
    EXPECT_EQ(world.hub().stats().slow, 1U);
    world.catch_up();
    EXPECT_EQ(world.hub().stats().slow, 0U);
    ASSERT_EQ(world.last_ranges.size(), 1U);
    EXPECT_EQ(world.last_ranges[0].key, "a");
    world.put("a", "5");
    EXPECT_EQ(next_events(client), "put a=3 @4");
    EXPECT_EQ(next_events(client), "put a=5 @6");
}

TEST(WatchHub, HistoryOfSeveralRevisionsIsOneResponse) {
    WatchWorld world;
    for (int i = 1; i <= 3; ++i) world.put("a", std::to_string(i));
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 1, .prev_kv = true});
    world.catch_up();
    expect_created(client, 0, 4);
    const auto response = client.next();
    EXPECT_EQ(text_of_events(response), "put a=1 @2, put a=2 @3 (was 1), put a=3 @4 (was 2)");
    EXPECT_EQ(response.header().revision(), 4);
}

TEST(WatchHub, SlightlyBehindNeedsNoHistory) {
    WatchWorld world;
    WatchClient other(world);  // events are only kept while somebody is connected
    for (int i = 1; i <= 3; ++i) world.put("a", std::to_string(i));
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 3});
    world.catch_up();
    EXPECT_EQ(world.hub().stats().history_reads, 0U);
    expect_created(client, 0, 4);
    EXPECT_EQ(text_of_events(client.next()), "put a=2 @3, put a=3 @4");
}

TEST(WatchHub, FutureStartDeliversNothingBefore) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 4});
    client.stream().request_progress();
    expect_created(client, 0, 1);
    for (int i = 2; i <= 4; ++i) {
        EXPECT_TRUE(client.responses().empty());
        world.put("a", std::to_string(i));
        client.read_all();
    }
    EXPECT_EQ(text_of_events(client.next()), "put a=4 @4");
    // The progress that was asked for long ago comes now, behind the event.
    const auto progress = client.next();
    EXPECT_EQ(progress.watch_id(), -1);
    EXPECT_EQ(progress.header().revision(), 4);
}

TEST(WatchHub, CompactedStartIsCreatedThenCancelled) {
    WatchWorld world;
    for (int i = 1; i <= 4; ++i) world.put("a", std::to_string(i));
    world.compact(3);
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 2});
    world.catch_up();
    expect_created(client, 0, 5);
    const auto canceled = client.next();
    EXPECT_EQ(canceled.ShortDebugString(), "header { } canceled: true compact_revision: 3");
    EXPECT_EQ(world.hub().stats().slow, 0U);
    // Its id stays taken until the client cancels it, which is answered.
    client.stream().create({.key = "b", .watch_id = 0});
    expect_created(client, 1, 5);
    client.stream().cancel(0);
    client.read_all();
    EXPECT_TRUE(client.next().canceled());
    // A cancelled watcher does not hold up progress.
    client.stream().request_progress();
    client.read_all();
    EXPECT_EQ(client.next().watch_id(), -1);
}

TEST(WatchHub, StartAtTheCompactedRevisionIsAllowedWithoutPrevKv) {
    for (const std::size_t recent : {std::size_t{0}, std::size_t{1} << 20}) {
        WatchWorld world({.recent_bytes_max = recent});
        WatchClient client(world);
        for (int i = 1; i <= 3; ++i) world.put("a", std::to_string(i));
        world.compact(3);
        client.stream().create({.key = "a", .start_revision = 3, .prev_kv = true});
        world.catch_up();
        expect_created(client, 0, 4);
        EXPECT_EQ(text_of_events(client.next()), "put a=2 @3, put a=3 @4 (was 2)");
    }
}

TEST(WatchHub, CompactionDuringTheReadCancels) {
    WatchWorld world({.recent_bytes_max = 0});
    for (int i = 1; i <= 4; ++i) world.put("a", std::to_string(i));
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 2});
    world.compact_under_read = 4;
    world.catch_up();
    expect_created(client, 0, 5);
    EXPECT_EQ(client.next().compact_revision(), 4);
    EXPECT_TRUE(client.responses().empty());
}

TEST(WatchHub, FailedReadLosesNothing) {
    WatchWorld world({.recent_bytes_max = 0});
    world.put("a", "1");
    WatchClient client(world);
    client.stream().create({.key = "a", .start_revision = 2});
    world.read_error = Error(Code::kInternal, "disk");
    const auto step = world.hub().catch_up_step();
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().message(), "watch history: disk");
    world.catch_up();
    expect_created(client, 0, 2);
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2");
}

TEST(WatchHub, FiltersAndPrevKv) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a", .watch_id = 1, .prev_kv = true});
    client.stream().create({.key = "a", .watch_id = 2, .no_put = true});
    client.stream().create({.key = "a", .watch_id = 3, .no_delete = true});
    client.stream().create({.key = "a", .watch_id = 4, .no_put = true, .no_delete = true});
    client.read_all();
    client.responses().clear();
    world.put("a", "1");
    world.put("a", "2");
    world.remove("a");
    client.read_all();
    std::map<std::int64_t, std::string> seen;
    for (const auto& response : client.responses()) {
        seen[response.watch_id()] += text_of_events(response) + "; ";
    }
    const std::map<std::int64_t, std::string> expected = {
        {1, "put a=1 @2; put a=2 @3 (was 1); delete a @4 (was 2); "},
        {2, "delete a @4; "},
        {3, "put a=1 @2; put a=2 @3; "}};
    EXPECT_EQ(seen, expected);
}

TEST(WatchHub, OneTransactionIsOneResponse) {
    WatchWorld world;
    WatchClient client(world);
    client.stream().create({.key = "a", .range_end = "c"});
    expect_created(client, 0, 1);
    world.write({{"a", "1"}, {"z", "1"}, {"b", "1"}});
    client.read_all();
    EXPECT_EQ(text_of_events(client.next()), "put a=1 @2, put b=1 @2");
    EXPECT_TRUE(client.responses().empty());
}

TEST(WatchHub, FragmentsOnlyForThoseWhoAsk) {
    constexpr std::size_t kLimit = 300;
    for (const bool behind : {false, true}) {
        WatchWorld world({.response_bytes_max = kLimit});
        WatchClient client(world);
        const Revision start = behind ? 2 : 0;
        const auto create = [&] {
            client.stream().create(
                {.key = "k", .range_end = "l", .start_revision = start, .fragment = true});
            client.stream().create({.key = "k", .range_end = "l", .start_revision = start});
        };
        if (!behind) create();
        std::vector<WatchWorld::Change> changes;
        for (int i = 0; i < 10; ++i) {
            changes.push_back({"k" + std::to_string(i), std::string(i == 4 ? 400 : 60, 'v')});
        }
        world.write(changes);
        if (behind) create();
        world.catch_up();
        client.read_all();
        std::vector<int> pieces;
        int whole = 0;
        bool more = true;
        for (const auto& response : client.responses()) {
            if (response.created()) continue;
            if (response.watch_id() == 1) {
                ++whole;
                EXPECT_EQ(response.events_size(), 10);
                EXPECT_FALSE(response.fragment());
                continue;
            }
            EXPECT_TRUE(more);
            more = response.fragment();
            pieces.push_back(response.events_size());
            EXPECT_TRUE(response.ByteSizeLong() < kLimit || response.events_size() == 1);
        }
        EXPECT_FALSE(more);
        EXPECT_EQ(whole, 1);
        EXPECT_EQ(pieces, (std::vector<int>{3, 1, 1, 3, 2}));
    }
}

TEST(WatchHub, EventIsEncodedOnceForAllWatchers) {
    WatchWorld world;
    std::vector<std::unique_ptr<WatchClient>> clients;
    for (int i = 0; i < 100; ++i) {
        auto& client = *clients.emplace_back(std::make_unique<WatchClient>(world));
        client.stream().create({.key = "a"});
        client.stream().create({.key = "a", .range_end = "b"});
        client.stream().create({.key = "a", .prev_kv = true});
    }
    world.put("a", "1");
    const WatchStats stats = world.hub().stats();
    EXPECT_EQ(stats.bodies, 2U);  // with and without prev_kv
    EXPECT_EQ(stats.messages, 300U);
    EXPECT_EQ(stats.groups, 2U);
    std::vector<WatchMessage> first;
    std::vector<WatchMessage> second;
    clients[0]->stream().take(first, SIZE_MAX);
    clients[99]->stream().take(second, SIZE_MAX);
    EXPECT_EQ(first.back().body().view().data(), second.back().body().view().data());
}

TEST(WatchHub, HistoryIsEncodedOnceForAllWatchers) {
    WatchWorld world({.recent_bytes_max = 0});
    for (int i = 0; i < 50; ++i) world.put("a", "1");
    std::vector<std::unique_ptr<WatchClient>> clients;
    for (int i = 0; i < 100; ++i) {
        auto& client = *clients.emplace_back(std::make_unique<WatchClient>(world));
        client.stream().create({.key = "a", .start_revision = 2});
    }
    world.catch_up();
    EXPECT_EQ(world.hub().stats().bodies, 1U);
    EXPECT_EQ(world.hub().stats().history_reads, 1U);
    for (auto& client : clients) {
        expect_created(*client, 0, 51);
        EXPECT_EQ(client->next().events_size(), 50);
    }
}

}  // namespace
}  // namespace sluice::etcd
