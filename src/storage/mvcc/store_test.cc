#include "storage/mvcc/store.h"

#include <gtest/gtest.h>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/model_testing.h"

namespace sluice::storage {
namespace {

const std::string kAll("\0", 1);

class StoreTest : public testing::Test {
  protected:
    void SetUp() override { reopen(true); }

    // Closes as a crash does if !flush_on_close was set at the open before.
    void reopen(bool flush_on_close) {
        applier_.reset();
        store_.reset();
        auto opened = MvccStore::open({.dir = dir_.path(),
                                       .memory_limit_bytes = limits::kStoreMemoryMin,
                                       .flush_on_close = flush_on_close});
        ASSERT_TRUE(opened) << opened.error().message();
        store_ = std::move(*opened);
        applier_ = std::make_unique<Applier>(*store_);
    }
    Revision put(const std::string& key, const std::string& value, LeaseId lease = 0) {
        applier_->begin_txn();
        EXPECT_TRUE(applier_->put(key, value, lease));
        EXPECT_TRUE(applier_->end_txn(nullptr));
        EXPECT_TRUE(applier_->commit(++index_, 1));
        return store_->current_revision();
    }
    Revision erase(const std::string& key, const std::string& end = "") {
        applier_->begin_txn();
        EXPECT_TRUE(applier_->delete_range(key, end));
        applier_->end_txn(nullptr);
        EXPECT_TRUE(applier_->commit(++index_, 1));
        return store_->current_revision();
    }
    Status compact(Revision revision) {
        SLUICE_TRY(applier_->compact(revision));
        return applier_->commit(++index_, 1);
    }
    RangeResult range(const RangeQuery& query) {
        RangeResult out;
        const auto step = store_->range(query, ReadTier::kAny, out);
        EXPECT_TRUE(step) << step.error().message();
        return out;
    }
    std::vector<EventBatch> history(Revision from) {
        std::vector<EventBatch> out;
        const auto got = store_->read_history({.from = from}, ReadTier::kAny, out);
        EXPECT_TRUE(got) << got.error().message();
        return out;
    }

    TemporaryDir dir_;
    std::unique_ptr<MvccStore> store_;
    std::unique_ptr<Applier> applier_;
    std::uint64_t index_ = 0;
};

TEST_F(StoreTest, AnEmptyStoreIsAtRevisionOne) {
    EXPECT_EQ(store_->current_revision(), 1);
    EXPECT_EQ(store_->compacted_revision(), -1);
    EXPECT_EQ(store_->applied_index(), 0u);
    EXPECT_EQ(range({.key = kAll, .range_end = kAll}).count, 0);
}

TEST_F(StoreTest, PutsCountVersionsAndDeletesEndThem) {
    EXPECT_EQ(put("a", "1"), 2);
    EXPECT_EQ(put("a", "2"), 3);
    EXPECT_EQ(erase("a"), 4);
    EXPECT_EQ(erase("a"), 4) << "a delete of no keys takes no revision";
    EXPECT_EQ(put("a", "3"), 5);
    const std::vector<KeyValue> now{{"a", "3", 5, 5, 1, 0}};
    const std::vector<KeyValue> before{{"a", "2", 2, 3, 2, 0}};
    EXPECT_EQ(range({.key = "a"}).kvs, now);
    EXPECT_EQ(range({.key = "a", .revision = 3}).kvs, before);
    EXPECT_TRUE(range({.key = "a", .revision = 4}).kvs.empty());
}

TEST_F(StoreTest, RefusesRevisionsWithEtcdsTexts) {
    for (int i = 0; i < 5; ++i) put("a", std::to_string(i));
    ASSERT_TRUE(compact(4));
    RangeResult out;
    auto step = store_->range({.key = "a", .revision = 3}, ReadTier::kAny, out);
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().code(), Code::kOutOfRange);
    EXPECT_EQ(step.error().message(), "etcdserver: mvcc: required revision has been compacted");
    EXPECT_TRUE(store_->range({.key = "a", .revision = 4}, ReadTier::kAny, out));
    step = store_->range({.key = "a", .revision = 7}, ReadTier::kAny, out);
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().message(), "etcdserver: mvcc: required revision is a future revision");
    EXPECT_EQ(compact(4).error().message(),
              "etcdserver: mvcc: required revision has been compacted");
    EXPECT_EQ(compact(7).error().message(),
              "etcdserver: mvcc: required revision is a future revision");
    std::vector<EventBatch> events;
    EXPECT_EQ(store_->read_history({.from = 3}, ReadTier::kAny, events).error().message(),
              "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(StoreTest, ADeletionAtTheCompactedRevisionIsKept) {
    put("a", "1");
    const Revision deleted = erase("a");
    put("b", "1");
    ASSERT_TRUE(compact(deleted));
    ASSERT_TRUE(store_->collect_garbage());
    ASSERT_TRUE(store_->compact_range());
    const auto events = history(deleted);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].events[0].type, Event::Type::kDelete);
    EXPECT_EQ(events[0].events[0].kv.key, "a");
    EXPECT_FALSE(events[0].events[0].prev_known) << "the version before is compacted";
    EXPECT_TRUE(events[1].events[0].prev_known);
    ASSERT_TRUE(compact(deleted + 1));
    ASSERT_TRUE(store_->collect_garbage());
    EXPECT_EQ(history(deleted + 1).size(), 1u);
}

TEST_F(StoreTest, ReadsWithinAGroupSeeItAndReadersDoNot) {
    put("a", "1");
    applier_->begin_txn();
    ASSERT_TRUE(applier_->put("b", "2", 0));
    EXPECT_TRUE(applier_->end_txn(nullptr));
    applier_->begin_txn();
    RangeResult inside;
    ASSERT_TRUE(applier_->range({.key = kAll, .range_end = kAll}, inside));
    EXPECT_EQ(inside.count, 2);
    EXPECT_EQ(inside.revision, 3);
    EXPECT_FALSE(applier_->end_txn(nullptr));
    EXPECT_EQ(range({.key = kAll, .range_end = kAll}).count, 1);
    EXPECT_EQ(store_->current_revision(), 2);
    ASSERT_TRUE(applier_->commit(++index_, 1));
    EXPECT_EQ(range({.key = kAll, .range_end = kAll}).count, 2);
}

TEST_F(StoreTest, LeasesFollowTheirKeys) {
    put("b", "1", 7);
    put("a", "1", 7);
    put("c", "1", 8);
    EXPECT_EQ(*store_->keys_of_lease(7), (std::vector<std::string>{"a", "b"}));
    put("b", "2", 0);
    put("c", "2", 7);
    erase("a");
    EXPECT_EQ(*store_->keys_of_lease(7), std::vector<std::string>{"c"});
    EXPECT_TRUE(store_->keys_of_lease(8)->empty());
    put("z", "1", INT64_MAX);
    put("n", "6", -1);  // any number but 0 is a lease, as in etcd
    EXPECT_EQ(*store_->keys_of_lease(-1), std::vector<std::string>{"n"});
    EXPECT_EQ(*store_->keys_of_lease(INT64_MAX), std::vector<std::string>{"z"});
}

TEST_F(StoreTest, MetaRecordsCommitWithTheGroup) {
    applier_->set_meta("lease/1", "ten");
    applier_->set_meta("lease/2", "");
    EXPECT_EQ(*applier_->get_meta("lease/1"), "ten");
    EXPECT_FALSE(store_->get_meta("lease/1"));
    ASSERT_TRUE(applier_->commit(++index_, 1));
    applier_->delete_meta("lease/1");
    EXPECT_EQ(applier_->get_meta("lease/1").error().code(), Code::kNotFound);
    EXPECT_EQ(*store_->get_meta("lease/1"), "ten");
    EXPECT_EQ(*store_->get_meta("lease/2"), "");
    ASSERT_TRUE(applier_->commit(++index_, 1));
    std::vector<std::string> seen;
    ASSERT_TRUE(store_->scan_meta(
        "lease/", [&](std::string_view key, std::string_view) { seen.emplace_back(key); }));
    EXPECT_EQ(seen, std::vector<std::string>{"lease/2"});
    EXPECT_EQ(store_->current_revision(), 1) << "meta records take no revision";
}

TEST_F(StoreTest, ALockedFolderIsRefused) {
    const auto second = MvccStore::open({.dir = dir_.path()});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kFailedPrecondition);
}

TEST_F(StoreTest, ACursorKeepsItsRevisionThroughCompactions) {
    for (int i = 0; i < 50; ++i) put("k" + std::to_string(100 + i), "old");
    std::vector<KeyValue> got;
    struct Sink final : KvSink {
        explicit Sink(std::vector<KeyValue>& o) : out(o) {}
        void on_kv(const KvView& kv) override { out.push_back(kv.copy()); }
        std::vector<KeyValue>& out;
    } sink(got);
    {
        RangeCursor cursor(*store_, {.key = "k", .range_end = "l"});
        auto step = cursor.next(ReadTier::kAny, {.keys_max = 10}, sink);
        ASSERT_EQ(*step, ReadStep::kMore);
        for (int i = 0; i < 50; ++i) put("k" + std::to_string(100 + i), "new");
        erase("k", "l");
        ASSERT_TRUE(compact(store_->current_revision()));
        ASSERT_TRUE(store_->collect_garbage());
        EXPECT_EQ(store_->collected_revision(), cursor.read_revision()) << "the cursor pins it";
        ASSERT_TRUE(store_->compact_range());
        while (*step == ReadStep::kMore) {
            step = cursor.next(ReadTier::kAny, {.keys_max = 10}, sink);
            ASSERT_TRUE(step) << step.error().message();
        }
        EXPECT_EQ(cursor.count(), 50);
    }
    ASSERT_EQ(got.size(), 50u);
    for (const KeyValue& kv : got) EXPECT_EQ(kv.value, "old");
    ASSERT_TRUE(store_->collect_garbage());
    EXPECT_EQ(store_->collected_revision(), store_->compacted_revision());
}

TEST_F(StoreTest, HashesAreEqualForEqualData) {
    TemporaryDir other_dir;
    auto other = MvccStore::open({.dir = other_dir.path()});
    ASSERT_TRUE(other);
    Applier second(**other);
    std::uint64_t index = 0;
    for (int i = 0; i < 200; ++i) {
        const std::string key = "k" + std::to_string(i % 37);
        put(key, std::to_string(i));
        if (i % 50 == 0) ASSERT_TRUE(store_->flush());
        second.begin_txn();
        ASSERT_TRUE(second.put(key, std::to_string(i), 0));
        second.end_txn(nullptr);
        if (i % 7 == 0) ASSERT_TRUE(second.commit(++index, 1));
    }
    ASSERT_TRUE(second.commit(++index, 1));
    for (const Revision at : {0, 50, 150}) {
        EXPECT_EQ(store_->hash_kv(at)->hash, (*other)->hash_kv(at)->hash);
    }
    EXPECT_NE(store_->hash_kv(50)->hash, store_->hash_kv(51)->hash);
    EXPECT_EQ(*store_->hash(), *(*other)->hash());
    EXPECT_EQ(store_->hash_kv(0)->compact_revision, -1);
    put("x", "y");
    EXPECT_NE(*store_->hash(), *(*other)->hash());
}

TEST_F(StoreTest, EventsAreWholeTransactionsWithTheirPairsBefore) {
    put("a", "1");
    applier_->begin_txn();
    ASSERT_TRUE(applier_->put("b", "2", 0));
    ASSERT_TRUE(applier_->delete_range("a", ""));
    EventBatch events;
    ASSERT_TRUE(applier_->end_txn(&events));
    ASSERT_TRUE(applier_->commit(++index_, 1));
    EXPECT_EQ(events.revision, 3);
    ASSERT_EQ(events.events.size(), 2u);
    EXPECT_EQ(events.events[0].kv, (KeyValue{"b", "2", 3, 3, 1, 0}));
    EXPECT_EQ(events.events[0].prev.version, 0);
    EXPECT_EQ(events.events[1].type, Event::Type::kDelete);
    EXPECT_EQ(events.events[1].sub, 1u);
    EXPECT_EQ(events.events[1].kv, (KeyValue{"a", "", 0, 3, 0, 0}));
    EXPECT_EQ(events.events[1].prev, (KeyValue{"a", "1", 2, 2, 1, 0}));
    EXPECT_EQ(to_text({events}), to_text({history(3)}));
}

TEST_F(StoreTest, AnEventsPairBeforeIsOfBeforeItsTransaction) {
    put("old", "1");
    applier_->begin_txn();
    ASSERT_TRUE(applier_->put("new", "2", 0));
    ASSERT_TRUE(applier_->put("old", "2", 0));
    ASSERT_EQ(applier_->delete_range("n", kAll).value_or(-1), 2);
    ASSERT_TRUE(applier_->put("old", "3", 0));
    EventBatch events;
    ASSERT_TRUE(applier_->end_txn(&events));
    ASSERT_TRUE(applier_->commit(++index_, 1));
    const KeyValue none;
    const KeyValue before{"old", "1", 2, 2, 1, 0};
    ASSERT_EQ(events.events.size(), 5u);
    EXPECT_EQ(events.events[1].prev, before);
    EXPECT_EQ(events.events[2].kv.key, "new");
    EXPECT_EQ(events.events[2].prev, none) << "put by the transaction itself";
    EXPECT_EQ(events.events[3].prev, before);
    EXPECT_EQ(events.events[4].kv, (KeyValue{"old", "3", 3, 3, 1, 0}));
    EXPECT_EQ(events.events[4].prev, none) << "the put created the key anew";
    EXPECT_EQ(to_text({events}), to_text({history(3)}));
}

TEST_F(StoreTest, KeysOnlyKeepsLeasesOnlyWhereItSortsByValue) {
    put("a", "1", 7);
    const auto by_key = range({.key = "a", .keys_only = true});
    const auto by_value = range({.key = "a", .target = SortTarget::kValue, .keys_only = true});
    EXPECT_EQ(by_key.kvs, (std::vector<KeyValue>{{"a", "", 2, 2, 1, 0}}));
    EXPECT_EQ(by_value.kvs, (std::vector<KeyValue>{{"a", "", 2, 2, 1, 7}}));
}

TEST_F(StoreTest, ManyVersionsOfOneKeyAreAllFound) {
    constexpr int kVersions = 10'000;
    applier_->begin_txn();
    applier_->end_txn(nullptr);
    for (int i = 0; i < kVersions; ++i) {
        applier_->begin_txn(false);
        ASSERT_TRUE(applier_->put("hot", std::to_string(i), 0));
        applier_->end_txn(nullptr);
        if (i % 100 == 99) ASSERT_TRUE(applier_->commit(++index_, 1));
    }
    for (int i = 0; i < kVersions; i += 97) {
        const auto got = range({.key = "hot", .revision = 2 + i});
        ASSERT_EQ(got.kvs.size(), 1u);
        EXPECT_EQ(got.kvs[0].value, std::to_string(i));
        EXPECT_EQ(got.kvs[0].version, i + 1);
    }
}

}  // namespace
}  // namespace sluice::storage
