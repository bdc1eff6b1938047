// What the memory-only tier answers when nothing is in memory: that it would block, or all of the
// truth, never a part of it.
#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

const std::string kAll("\0", 1);
constexpr int kKeys = 20'000;

std::string key_of(int i) {
    return "key" + std::to_string(100'000 + i);
}
std::string value_of(int i) {
    return std::to_string(i) + std::string(300, 'v');
}

std::unique_ptr<MvccStore> open_store(const std::string& dir) {
    auto store = MvccStore::open({.dir = dir, .memory_limit_bytes = limits::kStoreMemoryMin});
    EXPECT_TRUE(store) << store.error().message();
    return std::move(*store);
}

// Each key `rounds` times, in key order: key i has mod revision 2 + i, and then kKeys more.
void load(MvccStore& store, int rounds) {
    Applier applier(store);
    std::uint64_t index = 0;
    for (int n = 0; n < rounds * kKeys; ++n) {
        applier.begin_txn(false);
        ASSERT_TRUE(applier.put(key_of(n % kKeys), value_of(n % kKeys), 0));
        applier.end_txn(nullptr);
        if (n % 50 == 49) ASSERT_TRUE(applier.commit(++index, 1));
    }
}

void expect_keys(const std::vector<KeyValue>& got, int first, std::size_t count, Revision shift) {
    ASSERT_EQ(got.size(), count);
    for (std::size_t k = 0; k < count; ++k) {
        const int want = first + static_cast<int>(k);
        ASSERT_EQ(got[k].key, key_of(want));
        ASSERT_EQ(got[k].value, value_of(want));
        ASSERT_EQ(got[k].mod_revision, want + 2 + shift);
    }
}

class Tier : public testing::Test {
  protected:
    void SetUp() override {
        {
            auto store = open_store(dir_.path());
            load(*store, 2);
            ASSERT_TRUE(store->compact_range());
        }
        store_ = open_store(dir_.path());
    }
    TemporaryDir dir_;
    std::unique_ptr<MvccStore> store_;
};

TEST_F(Tier, ARangeOfAColdStoreIsWholeOrWouldBlock) {
    std::mt19937_64 random(1);
    int blocked = 0;
    constexpr int kReads = 3000;
    for (int n = 0; n < kReads; ++n) {
        const int i = static_cast<int>(random() % (kKeys - 200));
        // An old revision half of the time: then the log's blocks are needed too.
        const Revision at = random() % 2 == 0 ? 0 : kKeys + 1;
        const std::string begin = key_of(i);
        const std::string end = random() % 2 == 0 ? "" : key_of(i + 100);
        const RangeQuery query{.key = begin, .range_end = end, .revision = at};
        RangeResult got;
        auto step = store_->range(query, ReadTier::kMemory, got);
        ASSERT_TRUE(step) << step.error().message();
        if (*step == ReadStep::kWouldBlock) {
            ++blocked;
            EXPECT_TRUE(got.kvs.empty());
            if (random() % 4 != 0) continue;  // the block stays cold
            step = store_->range(query, ReadTier::kAny, got);
        }
        ASSERT_EQ(*step, ReadStep::kDone);
        expect_keys(got.kvs, i, end.empty() ? 1 : 100, at == 0 ? kKeys : 0);
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(blocked, 100);
    EXPECT_LT(blocked, kReads);
}

TEST_F(Tier, AGetOfAColdStoreIsRightOrWouldBlock) {
    struct Count final : KvSink {
        void on_kv(const KvView&) override { ++count; }
        int count = 0;
    } sink;
    int blocked = 0;
    for (int i = 0; i < kKeys; i += 100) {
        auto step = store_->get(key_of(i), 0, ReadTier::kMemory, sink);
        ASSERT_TRUE(step);
        if (*step == ReadStep::kDone) continue;
        ++blocked;
        ASSERT_EQ(*store_->get(key_of(i), 0, ReadTier::kAny, sink), ReadStep::kDone);
        ASSERT_EQ(*store_->get(key_of(i), 0, ReadTier::kMemory, sink), ReadStep::kDone);
        --sink.count;
    }
    EXPECT_EQ(sink.count, kKeys / 100);
    EXPECT_GT(blocked, kKeys / 100 / 2);
}

TEST_F(Tier, HistoryOfAColdStoreIsWholeOrWouldBlock) {
    HistoryQuery query{.from = 2};
    std::vector<EventBatch> got;
    int blocked = 0;
    for (;;) {
        auto step = store_->read_history(query, ReadTier::kMemory, got);
        ASSERT_TRUE(step) << step.error().message();
        if (step->step == ReadStep::kWouldBlock) {
            ++blocked;
            HistoryQuery little = query;
            little.entries_max = 20;
            step = store_->read_history(little, ReadTier::kAny, got);
            ASSERT_TRUE(step) << step.error().message();
        }
        if (step->step == ReadStep::kDone) break;
        query.from = step->next;
    }
    ASSERT_EQ(got.size(), 2u * kKeys);
    for (std::size_t n = 0; n < got.size(); ++n) {
        ASSERT_EQ(got[n].revision, static_cast<Revision>(n) + 2);
        ASSERT_EQ(got[n].events.at(0).kv.key, key_of(static_cast<int>(n % kKeys)));
        ASSERT_EQ(got[n].events.at(0).kv.value, value_of(static_cast<int>(n % kKeys)));
    }
    EXPECT_GT(blocked, 10);
}

// The writer's own reads: what is cold is read inside the blocking call, what is warm is not.
TEST_F(Tier, TheApplierReadsTheDiskInsideItsBlockingCall) {
    static int calls;
    calls = 0;
    Applier applier(*store_, [](const auto& body) {
        ++calls;
        body();
    });
    std::vector<KeyValue> deleted;
    RangeResult found;
    applier.begin_txn(false);
    for (int i = 0; i < kKeys; i += 100) {
        KeyValue before;
        ASSERT_TRUE(applier.put(key_of(i), "new", 0, &before));
        ASSERT_EQ(before.value, value_of(i));
    }
    EXPECT_GT(std::exchange(calls, 0), kKeys / 100 / 2);
    EXPECT_EQ(*applier.delete_range(key_of(0), key_of(5'000), &deleted), 5'000);
    EXPECT_GT(std::exchange(calls, 0), 0);
    ASSERT_EQ(deleted.size(), 5'000u);
    for (int i = 0; i < 5'000; ++i) {
        ASSERT_EQ(deleted[static_cast<std::size_t>(i)].key, key_of(i));
        ASSERT_EQ(deleted[static_cast<std::size_t>(i)].value, i % 100 == 0 ? "new" : value_of(i));
    }
    ASSERT_TRUE(applier.range({.key = key_of(4'000), .range_end = key_of(6'000)}, found));
    EXPECT_GT(std::exchange(calls, 0), 0);
    ASSERT_EQ(found.kvs.size(), 1'000u);
    EXPECT_EQ(found.kvs.front().key, key_of(5'000));

    EXPECT_EQ(*applier.delete_range(key_of(0), key_of(5'000)), 0);
    ASSERT_TRUE(applier.put(key_of(100), "again", 0));
    ASSERT_TRUE(applier.range({.key = key_of(5'000), .range_end = key_of(5'100)}, found));
    EXPECT_EQ(calls, 0);
    applier.end_txn(nullptr);
    ASSERT_TRUE(applier.commit(1'000'000, 1));
}

// No memtable is free and nothing flushes them: the writer waits inside its blocking call.
TEST_F(Tier, TheApplierWaitsForAFlushInsideItsBlockingCall) {
    static rocksdb::DB* paused;
    static bool in_commit, stalled;
    paused = store_->core().db.get();
    in_commit = stalled = false;
    ASSERT_TRUE(paused->PauseBackgroundWork().ok());
    Applier applier(*store_, [](const auto& body) {
        if (in_commit && !std::exchange(stalled, true)) {
            EXPECT_TRUE(paused->ContinueBackgroundWork().ok());
        }
        body();
    });
    const std::string value(1 << 20, 'v');
    int written = 0;
    for (; !stalled && written < 1'000; ++written) {
        applier.begin_txn(false);
        ASSERT_TRUE(applier.put("big" + std::to_string(written), value, 0));
        applier.end_txn(nullptr);
        in_commit = true;
        ASSERT_TRUE(applier.commit(1'000'000 + static_cast<std::uint64_t>(written), 1));
        in_commit = false;
    }
    EXPECT_TRUE(stalled);
    RangeResult found;
    auto step = store_->range({.key = "big", .range_end = "bih", .count_only = true},
                              ReadTier::kAny, found);
    ASSERT_TRUE(step) << step.error().message();
    EXPECT_EQ(found.count, written);
}

// The scan of a cold store by slices, resumed on the blocking tier whenever the disk is needed.
TEST(TierFiles, ASlicedScanOfAColdStoreMissesNothing) {
    TemporaryDir dir;
    {
        auto store = open_store(dir.path());
        load(*store, 1);
    }
    auto store = open_store(dir.path());
    struct Check final : KvSink {
        void on_kv(const KvView& kv) override {
            EXPECT_EQ(kv.key, key_of(next));
            ++next;
        }
        int next = 0;
    } sink;
    RangeCursor cursor(*store, {.key = kAll, .range_end = kAll});
    int blocked = 0;
    for (;;) {
        auto step = cursor.next(ReadTier::kMemory, {}, sink);
        ASSERT_TRUE(step) << step.error().message();
        if (*step == ReadStep::kWouldBlock) {
            ++blocked;
            step = cursor.next(ReadTier::kAny, {.keys_max = 100}, sink);
            ASSERT_TRUE(step) << step.error().message();
        }
        if (*step == ReadStep::kDone) break;
    }
    EXPECT_EQ(sink.next, kKeys);
    EXPECT_EQ(cursor.count(), kKeys);
    EXPECT_GT(blocked, 10);
}

}  // namespace
}  // namespace sluice::storage
