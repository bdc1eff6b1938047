#include "sync/object_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "arch/switch.h"
#include "base/memory_limit.h"
#include "rt/timer.h"
#include "sync/channel.h"
#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

std::atomic<int> alive{0};

struct Scratch {
    Scratch() { alive.fetch_add(1); }
    ~Scratch() { alive.fetch_sub(1); }
    void recycle() noexcept { ++recycled; }
    int recycled = 0;
    int user = 0;
};
using Pool = ObjectPool<Scratch>;

TEST(ObjectPool, ReusesTheLastOneAndRecyclesIt) {
    run_on(1, [] {
        Pool pool(rt::Runtime::current());
        Scratch* first = nullptr;
        {
            const auto a = pool.get();
            first = a.get();
            EXPECT_EQ(pool.stats().borrowed, 1u);
            EXPECT_EQ(a->recycled, 0);
        }
        const auto b = pool.get();
        EXPECT_EQ(b.get(), first);
        EXPECT_EQ(b->recycled, 1);
        EXPECT_EQ(pool.stats().hits, 1u);
        EXPECT_EQ(pool.stats().misses, 1u);
        EXPECT_DOUBLE_EQ(pool.stats().hit_rate(), 0.5);
    });
    EXPECT_EQ(alive.load(), 0);
}

TEST(ObjectPool, KeepsNoMoreThanItsBounds) {
    run_on(1, [] {
        Pool pool(rt::Runtime::current(), {.local_max = 8, .shared_max = 16});
        std::vector<Pool::Handle> out;
        for (int i = 0; i < 100; ++i) out.push_back(pool.get());
        out.clear();
        const PoolStats stats = pool.stats();
        EXPECT_EQ(stats.kept, 8u + 16u);
        EXPECT_EQ(stats.dropped, 100u - 24u);
        EXPECT_EQ(stats.borrowed, 0u);
        EXPECT_EQ(alive.load(), 24);
        for (int i = 0; i < 24; ++i) out.push_back(pool.get());
        EXPECT_EQ(pool.stats().misses, 100u);
        EXPECT_EQ(pool.stats().kept, 0u);
    });
    EXPECT_EQ(alive.load(), 0);
}

TEST(ObjectPool, TrimFreesDepotAndCaches) {
    run_on(1, [] {
        Pool pool(rt::Runtime::current(), {.local_max = 8, .shared_max = 16});
        {
            std::vector<Pool::Handle> out;
            for (int i = 0; i < 24; ++i) out.push_back(pool.get());
        }
        std::thread([&] { pool.trim(); }).join();
        EXPECT_EQ(pool.stats().kept, 8u);  // the worker's own, until it looks
        EXPECT_EQ(pool.get()->recycled, 0);
        EXPECT_EQ(alive.load(), 1);
    });
}

// Taken on one worker and given back on others, threads that are no workers among them: nobody has
// an object that another has, and what comes round is enough for a hit rate of 97%.
TEST(ObjectPool, ComesRoundBetweenWorkersAndThreads) {
    run_on(3, [] {
        rt::Runtime& runtime = rt::Runtime::current();
        Pool pool(runtime);
        Channel<Pool::Handle> handed(32);
        Group group(nullptr);
        constexpr int kEach = 5'000;
        for (int f = 0; f < 4; ++f) {
            group.spawn([&, f] {
                for (int i = 0; i < kEach; ++i) {
                    auto object = pool.get();
                    EXPECT_EQ(object->user, 0);
                    object->user = f + 1;
                    EXPECT_TRUE(handed.send(std::move(object)));
                }
            });
        }
        for (int f = 0; f < 3; ++f) {
            group.spawn([&] {
                for (int i = 0; i < 4 * kEach / 4; ++i) {
                    auto object = handed.receive();
                    EXPECT_NE((*object)->user, 0);
                    (*object)->user = 0;
                }
            });
        }
        const rt::ForeignThread hold(runtime);
        std::thread outside([&] {
            for (int i = 0; i < kEach;) {
                std::optional<Pool::Handle> object;
                if (handed.try_receive(object) != ChannelResult::kDone) {
                    std::this_thread::yield();
                    continue;
                }
                (*object)->user = 0;
                ++i;
                auto own = pool.get();
                EXPECT_EQ(own->user, 0);
            }
        });
        const Status joined = group.wait();
        outside.join();
        EXPECT_TRUE(joined.has_value());
        const PoolStats stats = pool.stats();
        EXPECT_EQ(stats.borrowed, 0u);
        EXPECT_EQ(stats.hits + stats.misses, 5u * kEach);
        EXPECT_GE(stats.hit_rate(), 0.97) << stats.misses;
        EXPECT_EQ(static_cast<std::uint64_t>(alive.load()), stats.kept);
    });
    EXPECT_EQ(alive.load(), 0);
}

TEST(ObjectPool, Simulated) {
    for_each_seed(100, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            Pool pool(rt::Runtime::current(), {.local_max = 2, .shared_max = 2});
            std::uint64_t out = 0;
            Group group(nullptr);
            for (std::uint64_t f = 0; f < 6; ++f) {
                group.spawn([&, f] {
                    std::mt19937_64 random(seed * 100 + f);
                    for (int i = 0; i < 30; ++i) {
                        auto object = pool.get();
                        ++out;
                        EXPECT_EQ(object->user, 0);
                        object->user = 1;
                        rt::yield();
                        EXPECT_EQ(pool.stats().borrowed, out);
                        if (random() % 20 == 0) pool.trim();
                        object->user = 0;
                        --out;
                    }
                });
            }
            EXPECT_TRUE(group.wait().has_value());
            EXPECT_LE(pool.stats().kept, 4u);
            EXPECT_EQ(static_cast<std::uint64_t>(alive.load()), pool.stats().kept);
        });
    });
}

// A burst of objects, then nothing to do: the pool's memory goes back to the kernel, that of an
// idle worker's cache too.
TEST(ObjectPool, ObeysTheMemoryLimitWhenTheProcessIsQuiet) {
    struct Block {
        std::array<char, 1 << 20> bytes;
    };
    constexpr std::size_t kObjects = 100;
    MemoryLimit memory(0);
    rt::Runtime runtime({.workers = 2, .memory = &memory});
    ObjectPool<Block> pool(runtime, {.local_max = kObjects / 2});
    runtime.run([&] {
        // It looks for the first time before the burst, or the burst would be no growth.
        while (runtime.stats().monitor_ticks < 2 * limits::kMemoryLookNs / limits::kMonitorTickNs) {
            rt::sleep_for(kMillisecond);
        }
        {
            std::vector<ObjectPool<Block>::Handle> out;
            for (std::size_t i = 0; i < kObjects; ++i) {
                out.push_back(pool.get());
                out.back()->bytes.fill('x');
            }
        }
        EXPECT_EQ(pool.stats().kept, kObjects);
        const std::size_t full_bytes = resident_bytes();
        EXPECT_GT(full_bytes, kObjects * sizeof(Block));
        // Long sleeps: with one of them every few milliseconds it would never be quiet.
        while (pool.stats().kept > 0) rt::sleep_for(200 * kMillisecond);
        EXPECT_GE(memory.shrinks(), 1u);
        if (arch::kStackFactor > 1) return;  // a sanitizer keeps freed memory
        // A worker empties its cache first, and then has the allocator give it back.
        while (resident_bytes() > full_bytes - kObjects * sizeof(Block) / 2) {
            rt::sleep_for(200 * kMillisecond);
        }
    });
}

// Over the limit it shrinks while others run, and what is in use stays.
TEST(ObjectPool, ObeysTheMemoryLimitUnderLoad) {
    std::atomic<std::size_t> resident_now = 1 << 20;
    MemoryLimit memory(2 << 20, [&] { return resident_now.load(); });
    rt::Runtime runtime({.workers = 1, .memory = &memory});
    ObjectPool<int> pool(runtime);
    runtime.run([&] {
        const auto used = pool.get();
        *used = 7;
        {
            const auto second = pool.get();
        }
        EXPECT_EQ(pool.stats().kept, 1u);
        resident_now = 3 << 20;
        while (pool.stats().kept > 0) rt::sleep_for(kMillisecond);
        EXPECT_GE(memory.shrinks(), 1u);
        EXPECT_EQ(*used, 7);
    });
}

}  // namespace
}  // namespace sluice::sync
