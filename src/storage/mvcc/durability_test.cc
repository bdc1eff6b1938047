// What a crash leaves: exactly the state at the durable applied index, from which replaying the
// rest of the log gives all of it back. And what the memory-only tier answers when nothing is in
// memory.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <random>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/snapshot.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

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

// Fills a store in a child process and kills it once it has told of `reports` times 500 entries.
void fill_and_kill(const TemporaryDir& dir, int reports) {
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
    for (int i = 0; i < reports; ++i) ASSERT_EQ(::read(pipe_ends[0], &byte, 1), 1);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    ::close(pipe_ends[0]);
}

TEST(DurabilityDeathTest, AKilledProcessLeavesAConsistentState) {
    std::array<TemporaryDir, 3> dirs;
    // All children first, and this suite before others (hence its name): once a store was open,
    // this process has threads, and forking it is not safe any more.
    for (int round = 0; round < 3; ++round) {
        ASSERT_NO_FATAL_FAILURE(fill_and_kill(dirs[static_cast<std::size_t>(round)], 9 + round));
    }
    for (const TemporaryDir& dir : dirs) {
        auto store = open_store(dir.path(), true);
        TemporaryDir fresh_dir;
        auto fresh = open_store(fresh_dir.path(), false);
        apply_to(*fresh, store->applied_index());
        expect_equal(*store, *fresh);
    }
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
