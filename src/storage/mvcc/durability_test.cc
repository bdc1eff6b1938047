// What a crash leaves: exactly the state at the durable applied index, from which replaying the
// rest of the log gives all of it back. And what the memory-only tier answers when nothing is in
// memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/snapshot.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

const std::string kAll("\0", 1);

// Log entry `index`, the same each time it is applied.
void apply_entry(Applier& applier, std::uint64_t index) {
    std::mt19937_64 random(index);
    applier.begin_txn(false);
    const std::string key = "key" + std::to_string(random() % 500);
    if (random() % 5 == 0) {
        EXPECT_TRUE(applier.delete_range(key, random() % 4 == 0 ? key + "5" : ""));
    } else {
        const auto lease = static_cast<LeaseId>(random() % 4);
        EXPECT_TRUE(applier.put(key, std::string(100 + random() % 400, 'v'), lease));
    }
    applier.end_txn(nullptr);
    applier.set_meta("last", std::to_string(index));
    if (index % 100 == 0 && applier.read_revision() > 60) {
        EXPECT_TRUE(applier.compact(applier.read_revision() - 50));
    }
}

std::unique_ptr<MvccStore> open_store(const std::string& dir, bool flush_on_close) {
    auto store = MvccStore::open({.dir = dir,
                                  .memory_limit_bytes = limits::kStoreMemoryMin,
                                  .flush_on_close = flush_on_close});
    EXPECT_TRUE(store) << store.error().message();
    return std::move(*store);
}

void apply_to(MvccStore& store, std::uint64_t last) {
    Applier applier(store);
    for (std::uint64_t index = store.applied_index() + 1; index <= last; ++index) {
        apply_entry(applier, index);
        ASSERT_TRUE(applier.commit(index, 1));
    }
}

// Everything that both stores show, at every live revision.
void expect_equal(const MvccStore& a, const MvccStore& b) {
    ASSERT_EQ(a.applied_index(), b.applied_index());
    ASSERT_EQ(a.current_revision(), b.current_revision());
    ASSERT_EQ(a.compacted_revision(), b.compacted_revision());
    EXPECT_EQ(a.stats().keys, b.stats().keys);
    EXPECT_EQ(*a.hash(), *b.hash());
    const Revision floor = std::max<Revision>(a.compacted_revision(), 1);
    for (Revision at = floor; at <= a.current_revision(); ++at) {
        const auto left = a.hash_kv(at);
        const auto right = b.hash_kv(at);
        ASSERT_TRUE(left && right);
        ASSERT_EQ(left->hash, right->hash) << "at revision " << at;
    }
    for (LeaseId lease = 1; lease < 4; ++lease) {
        EXPECT_EQ(*a.keys_of_lease(lease), *b.keys_of_lease(lease));
    }
    std::vector<EventBatch> left;
    std::vector<EventBatch> right;
    const HistoryQuery query{.from = floor, .bytes_max = SIZE_MAX, .entries_max = INT64_MAX};
    ASSERT_TRUE(a.read_history(query, ReadTier::kAny, left));
    ASSERT_TRUE(b.read_history(query, ReadTier::kAny, right));
    EXPECT_EQ(to_text(left), to_text(right));
}

class Durability : public testing::TestWithParam<int> {};

TEST_P(Durability, AnAbandonedStoreIsAtItsDurableIndex) {
    const auto round = static_cast<std::uint64_t>(GetParam());
    TemporaryDir dir;
    const std::uint64_t last = 1500 + round * 37;
    const std::uint64_t flush_at = 200 + round * 131;
    std::uint64_t durable = 0;
    {
        auto store = open_store(dir.path(), false);
        std::atomic<std::uint64_t> told{0};
        store->on_durable([&](std::uint64_t index) { told = index; });
        apply_to(*store, flush_at);
        ASSERT_TRUE(store->flush());
        EXPECT_EQ(told, flush_at);
        if (round % 2 == 1) ASSERT_TRUE(store->collect_garbage());
        apply_to(*store, last);
        durable = store->durable_applied_index();
        EXPECT_GE(durable, flush_at);
        EXPECT_LT(durable, last);
    }
    auto store = open_store(dir.path(), false);
    EXPECT_GE(store->applied_index(), durable);
    EXPECT_LT(store->applied_index(), last);
    TemporaryDir fresh_dir;
    auto fresh = open_store(fresh_dir.path(), false);
    apply_to(*fresh, store->applied_index());
    expect_equal(*store, *fresh);
    apply_to(*store, last);
    apply_to(*fresh, last);
    expect_equal(*store, *fresh);
}

INSTANTIATE_TEST_SUITE_P(Rounds, Durability, testing::Range(0, 4));

TEST(DurabilityKill, AKilledProcessLeavesAConsistentState) {
    for (int round = 0; round < 3; ++round) {
        TemporaryDir dir;
        int pipe_ends[2];
        ASSERT_EQ(::pipe(pipe_ends), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            auto store = open_store(dir.path(), false);
            for (std::uint64_t index = 500;; index += 500) {
                apply_to(*store, index);
                if (index % 2000 == 0 && !store->start_flush()) ::_exit(1);
                if (::write(pipe_ends[1], "x", 1) != 1) ::_exit(1);
            }
        }
        ::close(pipe_ends[1]);
        char byte;
        for (int i = 0; i < 9 + round; ++i) ASSERT_EQ(::read(pipe_ends[0], &byte, 1), 1);
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFSIGNALED(status));
        ::close(pipe_ends[0]);
        auto store = open_store(dir.path(), true);
        TemporaryDir fresh_dir;
        auto fresh = open_store(fresh_dir.path(), false);
        apply_to(*fresh, store->applied_index());
        expect_equal(*store, *fresh);
    }
}

TEST(Tier, MemoryOnlyReadsSayWhenTheyNeedTheDiskAndAreNeverWrong) {
    TemporaryDir dir;
    constexpr int kKeys = 20'000;
    const auto key = [](int i) { return "key" + std::to_string(100'000 + i); };
    {
        auto store = open_store(dir.path(), true);
        Applier applier(*store);
        std::uint64_t index = 0;
        for (int round = 0; round < 2; ++round) {
            for (int i = 0; i < kKeys; ++i) {
                applier.begin_txn(false);
                ASSERT_TRUE(applier.put(key(i), std::to_string(i) + std::string(300, 'v'), 0));
                applier.end_txn(nullptr);
                if (i % 50 == 0) ASSERT_TRUE(applier.commit(++index, 1));
            }
            ASSERT_TRUE(applier.commit(++index, 1));
        }
        ASSERT_TRUE(store->compact_range());
    }
    auto store = open_store(dir.path(), true);
    std::mt19937_64 random(1);
    int blocked = 0;
    for (int n = 0; n < 3000; ++n) {
        const int i = static_cast<int>(random() % (kKeys - 200));
        // An old revision half of the time: then the log's blocks are needed too.
        const Revision at = random() % 2 == 0 ? 0 : kKeys + 1;
        const std::string begin = key(i);
        const std::string end = random() % 2 == 0 ? "" : key(i + 100);
        RangeResult got;
        auto step =
            store->range({.key = begin, .range_end = end, .revision = at}, ReadTier::kMemory, got);
        ASSERT_TRUE(step) << step.error().message();
        if (*step == ReadStep::kWouldBlock) {
            ++blocked;
            EXPECT_TRUE(got.kvs.empty());
            if (random() % 4 == 0) {  // otherwise the block stays cold
                step = store->range({.key = begin, .range_end = end, .revision = at},
                                    ReadTier::kAny, got);
            } else {
                continue;
            }
        }
        ASSERT_EQ(*step, ReadStep::kDone);
        ASSERT_EQ(got.kvs.size(), end.empty() ? 1u : 100u);
        for (std::size_t k = 0; k < got.kvs.size(); ++k) {
            const int want = i + static_cast<int>(k);
            ASSERT_EQ(got.kvs[k].key, key(want));
            ASSERT_EQ(got.kvs[k].value, std::to_string(want) + std::string(300, 'v'));
            ASSERT_EQ(got.kvs[k].mod_revision, want + 2 + (at == 0 ? kKeys : 0));
        }
    }
    EXPECT_GT(blocked, 100);
    EXPECT_LT(blocked, 3000);
    int found = 0;
    struct Count final : KvSink {
        explicit Count(int& n) : count(n) {}
        void on_kv(const KvView&) override { ++count; }
        int& count;
    } sink(found);
    for (int i = 0; i < kKeys; i += 1000) {
        auto step = store->get(key(i), 0, ReadTier::kMemory, sink);
        ASSERT_TRUE(step);
        if (*step == ReadStep::kWouldBlock) {
            ASSERT_EQ(*store->get(key(i), 0, ReadTier::kAny, sink), ReadStep::kDone);
        }
    }
    EXPECT_EQ(found, kKeys / 1000);
}

// The scan of a cold store by slices, resumed on the blocking tier whenever the disk is needed.
TEST(Tier, ASlicedScanOfAColdStoreMissesNothing) {
    TemporaryDir dir;
    constexpr int kKeys = 30'000;
    {
        auto store = open_store(dir.path(), true);
        Applier applier(*store);
        for (int i = 0; i < kKeys; ++i) {
            applier.begin_txn(false);
            ASSERT_TRUE(applier.put("key" + std::to_string(100'000 + i), std::string(300, 'v'), 0));
            applier.end_txn(nullptr);
            if (i % 100 == 99) ASSERT_TRUE(applier.commit(static_cast<std::uint64_t>(i), 1));
        }
    }
    auto store = open_store(dir.path(), true);
    struct Check final : KvSink {
        void on_kv(const KvView& kv) override {
            EXPECT_EQ(kv.key, "key" + std::to_string(100'000 + next));
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

TEST(Concurrency, ReadersSeeWholeGroupsOfOneRevision) {
    TemporaryDir dir;
    auto store = open_store(dir.path(), true);
    constexpr int kKeys = 20;
    constexpr int kGroups = 3000;
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> reads{0};
    // Every transaction writes the same number to all keys; a reader that sees two numbers at one
    // revision has seen half of one.
    const auto read = [&](unsigned seed) {
        std::mt19937_64 random(seed);
        Revision last = 0;
        while (!stop) {
            RangeResult got;
            const Revision current = store->current_revision();
            EXPECT_GE(current, last);
            last = current;
            const Revision floor = std::max<Revision>(store->compacted_revision(), 2);
            const Revision at = random() % 2 == 0 || current <= floor + 20
                                    ? 0
                                    : current - static_cast<Revision>(random() % 20);
            if (random() % 2 == 0) {
                auto step = store->range({.key = "k", .range_end = "l", .revision = at},
                                         ReadTier::kAny, got);
                if (!step && at > 0) continue;  // compacted meanwhile
                ASSERT_TRUE(step) << step.error().message();
                if (got.revision == 1) continue;
                ASSERT_EQ(got.kvs.size(), static_cast<std::size_t>(kKeys));
                for (const KeyValue& kv : got.kvs) {
                    ASSERT_EQ(kv.value, got.kvs[0].value);
                    ASSERT_EQ(kv.mod_revision, at > 0 ? at : got.revision);
                }
            } else {
                const std::string key = "k" + std::to_string(100 + random() % kKeys);
                struct One final : KvSink {
                    void on_kv(const KvView& kv) override { mod = kv.mod_revision; }
                    Revision mod = 0;
                } one;
                Revision seen = 0;
                auto step = store->get(key, at, ReadTier::kAny, one, nullptr, &seen);
                if (!step && at > 0) continue;
                ASSERT_TRUE(step) << step.error().message();
                if (seen > 1) {
                    ASSERT_EQ(one.mod, at > 0 ? at : seen);
                }
            }
            ++reads;
        }
    };
    std::thread readers[] = {std::thread(read, 1), std::thread(read, 2), std::thread(read, 3)};
    std::thread collector([&] {
        while (!stop) EXPECT_TRUE(store->collect_garbage());
    });
    {
        Applier applier(*store);
        for (int group = 1; group <= kGroups; ++group) {
            for (int txn = 0; txn < 2; ++txn) {
                applier.begin_txn(false);
                const std::string value = std::to_string(applier.read_revision());
                for (int k = 0; k < kKeys; ++k) {
                    ASSERT_TRUE(applier.put("k" + std::to_string(100 + k), value, 0));
                }
                applier.end_txn(nullptr);
            }
            if (group % 200 == 0) ASSERT_TRUE(applier.compact(applier.read_revision() - 50));
            ASSERT_TRUE(applier.commit(static_cast<std::uint64_t>(group), 1));
        }
        while (reads < 200 && !testing::Test::HasFailure()) std::this_thread::yield();
    }
    stop = true;
    for (auto& reader : readers) reader.join();
    collector.join();
    EXPECT_GE(reads, 200);
}

TEST(Snapshot, AStreamRestoresTheWholeStore) {
    TemporaryDir dir;
    auto store = open_store(dir.path(), true);
    apply_to(*store, 1000);
    auto reader = store->snapshot();
    ASSERT_TRUE(reader) << reader.error().message();
    const std::uint64_t at = store->applied_index();
    apply_to(*store, 1200);  // not in the snapshot
    std::string stream;
    const std::uint64_t size = (*reader)->size();
    while ((*reader)->remaining() > 0) {
        std::string chunk;
        ASSERT_TRUE((*reader)->next(1000, chunk));
        ASSERT_FALSE(chunk.empty());
        ASSERT_LE(chunk.size(), 1000u);
        stream += chunk;
        EXPECT_EQ((*reader)->remaining(), size - stream.size());
    }
    EXPECT_EQ(stream.size(), size);

    auto writer = SnapshotWriter::create(dir.path("restored"));
    ASSERT_TRUE(writer);
    for (std::size_t i = 0; i < stream.size(); i += 777) {
        ASSERT_TRUE((*writer)->write(std::string_view(stream).substr(i, 777)));
    }
    ASSERT_TRUE((*writer)->finish());
    auto restored = open_store(dir.path("restored"), true);
    TemporaryDir fresh_dir;
    auto fresh = open_store(fresh_dir.path(), false);
    apply_to(*fresh, at);
    expect_equal(*restored, *fresh);
}

TEST(Snapshot, ADamagedStreamIsRefused) {
    TemporaryDir dir;
    auto store = open_store(dir.path(), true);
    apply_to(*store, 50);
    auto reader = store->snapshot();
    ASSERT_TRUE(reader);
    std::string stream;
    ASSERT_TRUE((*reader)->next(64 << 20, stream));
    ASSERT_EQ((*reader)->remaining(), 0u);
    std::mt19937_64 random(3);
    for (int n = 0; n < 40; ++n) {
        std::string bad = stream;
        if (n % 2 == 0) {
            bad[random() % bad.size()] ^= static_cast<char>(1 + random() % 255);
        } else {
            bad.resize(random() % bad.size());
        }
        const std::string to = dir.path("bad" + std::to_string(n));
        auto writer = SnapshotWriter::create(to);
        ASSERT_TRUE(writer);
        auto status = (*writer)->write(bad);
        if (status) status = (*writer)->finish();
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code(), Code::kDataLoss) << status.error().message();
        writer->reset();
        EXPECT_NE(::access(to.c_str(), F_OK), 0) << "a refused snapshot leaves nothing";
    }
}

}  // namespace
}  // namespace sluice::storage
