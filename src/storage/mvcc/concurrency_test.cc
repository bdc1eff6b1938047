// Readers on other threads while the writer writes, and compactions are collected behind both.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "storage/mvcc/applier.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

constexpr int kKeys = 20;
constexpr int kGroups = 3000;

std::string key_of(std::uint64_t i) {
    return "k" + std::to_string(100 + i);
}

// Every transaction writes the same value to all keys; a reader that sees two values, or another
// mod revision than the one it reads at, has seen half of one.
class Reader {
  public:
    Reader(const MvccStore& store, unsigned seed) : store_(store), random_(seed) {}

    void run(const std::atomic<bool>& stop, std::atomic<std::int64_t>& reads) {
        while (!stop && !testing::Test::HasFatalFailure()) {
            const Revision current = store_.current_revision();
            ASSERT_GE(current, last_);
            last_ = current;
            const Revision floor = std::max<Revision>(store_.compacted_revision(), 2);
            const bool old = random_() % 2 == 0 && current > floor + 20;
            const Revision at = old ? current - static_cast<Revision>(random_() % 20) : 0;
            if (random_() % 2 == 0) {
                read_range(at);
            } else {
                read_one(at);
            }
            ++reads;
        }
    }

  private:
    void read_range(Revision at) {
        RangeResult got;
        const auto step =
            store_.range({.key = "k", .range_end = "l", .revision = at}, ReadTier::kAny, got);
        if (!step && at > 0 && step.error().code() == Code::kOutOfRange) return;  // compacted
        ASSERT_TRUE(step) << step.error().message();
        if (got.revision == 1) return;
        ASSERT_EQ(got.kvs.size(), static_cast<std::size_t>(kKeys));
        for (const KeyValue& kv : got.kvs) {
            ASSERT_EQ(kv.value, got.kvs[0].value);
            ASSERT_EQ(kv.mod_revision, at > 0 ? at : got.revision);
        }
    }

    void read_one(Revision at) {
        struct One final : KvSink {
            void on_kv(const KvView& kv) override { mod = kv.mod_revision; }
            Revision mod = 0;
        } one;
        Revision seen = 0;
        const auto step =
            store_.get(key_of(random_() % kKeys), at, ReadTier::kAny, one, nullptr, &seen);
        if (!step && at > 0 && step.error().code() == Code::kOutOfRange) return;
        ASSERT_TRUE(step) << step.error().message();
        if (seen > 1) ASSERT_EQ(one.mod, at > 0 ? at : seen);
    }

    const MvccStore& store_;
    std::mt19937_64 random_;
    Revision last_ = 0;
};

void write_groups(MvccStore& store) {
    Applier applier(store);
    for (int group = 1; group <= kGroups; ++group) {
        for (int txn = 0; txn < 2; ++txn) {
            applier.begin_txn(false);
            const std::string value = std::to_string(applier.read_revision());
            for (std::uint64_t k = 0; k < kKeys; ++k) {
                ASSERT_TRUE(applier.put(key_of(k), value, 0));
            }
            applier.end_txn(nullptr);
        }
        if (group % 200 == 0) ASSERT_TRUE(applier.compact(applier.read_revision() - 50));
        ASSERT_TRUE(applier.commit(static_cast<std::uint64_t>(group), 1));
    }
}

TEST(Concurrency, ReadersSeeWholeGroupsOfOneRevision) {
    TemporaryDir dir;
    auto opened =
        MvccStore::open({.dir = dir.path(), .memory_limit_bytes = limits::kStoreMemoryMin});
    ASSERT_TRUE(opened);
    MvccStore& store = **opened;
    std::atomic<bool> stop{false};
    std::atomic<std::int64_t> reads{0};
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 3; ++seed) {
        threads.emplace_back([&, seed] { Reader(store, seed).run(stop, reads); });
    }
    threads.emplace_back([&] {
        while (!stop) {
            EXPECT_TRUE(store.collect_garbage());
            std::this_thread::yield();
        }
    });
    write_groups(store);
    while (reads < 200 && !testing::Test::HasFailure()) std::this_thread::yield();
    stop = true;
    for (auto& thread : threads) thread.join();
    EXPECT_GE(reads, 200);
    ASSERT_TRUE(store.collect_garbage());
    EXPECT_EQ(store.collected_revision(), store.compacted_revision());
}

}  // namespace
}  // namespace sluice::storage
