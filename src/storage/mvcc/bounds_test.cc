// What must not grow or wait: memory with the number of keys, a start with the number of keys, the
// writer with what compactions do.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "base/clock.h"
#include "storage/mvcc/applier.h"
#include "storage/mvcc/core.h"
#include "storage/mvcc/model_testing.h"
#include "storage/mvcc/store.h"

namespace sluice::storage {
namespace {

constexpr std::size_t kLimit = limits::kStoreMemoryMin;

std::unique_ptr<MvccStore> open_store(const std::string& dir, bool flush_on_close = true) {
    auto store = MvccStore::open(
        {.dir = dir, .memory_limit_bytes = kLimit, .flush_on_close = flush_on_close});
    EXPECT_TRUE(store) << store.error().message();
    return std::move(*store);
}

std::string key_of(int i) {
    return "key" + std::to_string(1'000'000 + i);
}

// One group of puts, as the applier makes them.
class Writer {
  public:
    explicit Writer(MvccStore& store) : store_(store), applier_(store) {}

    void put(int first, int count, const std::string& value) {
        for (int i = first; i < first + count; ++i) {
            applier_.begin_txn(false);
            ASSERT_TRUE(applier_.put(key_of(i), value, 0));
            applier_.end_txn(nullptr);
        }
        commit();
    }
    void compact(Revision revision) {
        ASSERT_TRUE(applier_.compact(revision));
        commit();
    }

  private:
    void commit() { ASSERT_TRUE(applier_.commit(store_.applied_index() + 1, 1)); }

    MvccStore& store_;
    Applier applier_;
};

// Bytes that this process has read from files so far, page cache or not.
std::uint64_t bytes_read() {
    std::ifstream io("/proc/self/io");
    std::string name;
    std::uint64_t value = 0;
    while (io >> name >> value) {
        if (name == "rchar:") return value;
    }
    ADD_FAILURE() << "no /proc/self/io";
    return 0;
}

TEST(Bounds, AStartReadsNoKeys) {
    constexpr int kKeys = 80'000;
    TemporaryDir dir;
    std::uint64_t size = 0;
    {
        auto store = open_store(dir.path());
        Writer writer(*store);
        std::mt19937_64 random(1);
        for (int i = 0; i < kKeys; i += 100) {
            std::string value;  // of 300 bytes that LZ4 cannot shorten, other ones in each block
            while (value.size() < 300) value.push_back(static_cast<char>(random()));
            writer.put(i, 1, value);
            for (int k = 1; k < 100; ++k) {
                for (char& c : value) c = static_cast<char>(c + k);
                writer.put(i + k, 1, value);
            }
        }
        ASSERT_TRUE(store->compact_range());
        size = store->size_bytes();
    }
    const std::uint64_t before = bytes_read();
    auto store = open_store(dir.path());
    const std::uint64_t read = bytes_read() - before;
    EXPECT_EQ(store->stats().keys, kKeys);
    EXPECT_GT(read, 0u);
    // RocksDB reads the end of each file, up to half a megabyte of sixteen.
    EXPECT_LT(read, size / 8) << "of " << size;
}

TEST(Bounds, MemoryFollowsTheLimitNotTheKeys) {
    TemporaryDir dir;
    auto store = open_store(dir.path());
    Writer writer(*store);
    const MemoryPlan plan = plan_memory(kLimit);
    const std::string value(1'000, 'v');
    struct Ignore final : KvSink {
        void on_kv(const KvView&) override {}
    } sink;
    std::uint64_t largest = 0;
    for (int i = 0; i < 60'000; i += 100) {
        // As the server's admission does it.
        while (store->pressure() >= 1) std::this_thread::yield();
        writer.put(i, 100, value);
        ASSERT_TRUE(store->get(key_of(i / 2), 0, ReadTier::kAny, sink));
        const StoreStats stats = store->stats();
        largest = std::max(largest, stats.memtable_bytes);
        ASSERT_LE(stats.hot_cache_bytes, 2 * plan.hot_cache);
        ASSERT_LE(stats.block_cache_bytes, plan.block_cache * 5 / 4);
    }
    EXPECT_EQ(store->stats().keys, 60'000);
    // Full pressure is three times the share; a group and a memtable's arena may come on top.
    EXPECT_LE(largest, 3 * plan.memtables + plan.memtable_one);
}

std::uint64_t stalls(const MvccStore& store) {
    std::uint64_t sum = 0;
    for (auto* family : {store.core().meta, store.core().latest, store.core().log}) {
        std::map<std::string, std::string> stats;
        EXPECT_TRUE(
            store.core().db->GetMapProperty(family, rocksdb::DB::Properties::kCFStats, &stats));
        for (const char* name : {"io_stalls.total_stop", "io_stalls.total_slowdown"}) {
            EXPECT_TRUE(stats.contains(name)) << name;
            sum += std::stoull(stats[name]);
        }
    }
    return sum;
}

TEST(Bounds, CompactionsNeverStopTheWriter) {
    TemporaryDir dir;
    auto store = open_store(dir.path());
    Writer writer(*store);
    std::atomic<bool> collecting{false};
    std::atomic<bool> stop{false};
    std::atomic<int> collections{0};
    std::thread collector([&] {
        while (!stop) {
            if (store->collected_revision() >= store->compacted_revision()) {
                std::this_thread::yield();
                continue;
            }
            collecting = true;
            EXPECT_TRUE(store->collect_garbage());
            collecting = false;
            ++collections;
        }
    });
    const std::string value(500, 'v');
    const SystemClock clock;
    const TimeNs end_ns = clock.now_ns() + 200 * kSecond;  // for giving up
    const auto wait = [&](auto&& done) {
        while (!done() && clock.now_ns() < end_ns) std::this_thread::yield();
    };
    int during = 0;  // commits that began and ended within one collection
    for (int round = 0; collections < 5 || during < 50; ++round) {
        if (clock.now_ns() >= end_ns) break;
        if (round % 100 == 99) {
            const int before = collections;
            writer.compact(store->current_revision() - 10);
            // The collector may be slow to get a CPU.
            wait([&] { return collecting || collections > before; });
        }
        // As the server's admission does it: the memory that waits for flushes is bounded there.
        wait([&] { return store->pressure() < 1; });
        const int before = collections;
        const bool began = collecting;
        writer.put(round % 10 * 50, 50, value);
        during += began && collecting && collections == before ? 1 : 0;
        if (testing::Test::HasFailure()) break;
    }
    stop = true;
    collector.join();
    EXPECT_GE(collections, 5);
    EXPECT_GE(during, 50);
    EXPECT_EQ(stalls(*store), 0u);
}

}  // namespace
}  // namespace sluice::storage
