#include "io/buffer_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::io {
namespace {

TEST(BufferPool, ReusesTheLastChunk) {
    BufferPool pool;
    Buffer first = pool.borrow(ChunkSize::kSmall);
    EXPECT_EQ(first.size(), limits::kChunkSmallBytes);
    std::byte* const data = first.data();
    first.reset();
    EXPECT_FALSE(first);
    Buffer again = pool.borrow(ChunkSize::kSmall);
    EXPECT_EQ(again.data(), data);
    const auto stats = pool.stats(ChunkSize::kSmall);
    EXPECT_EQ(stats.hits, 1u);
    EXPECT_EQ(stats.misses, 1u);
    EXPECT_EQ(stats.borrowed, 1u);
    EXPECT_EQ(stats.free, 0u);
}

TEST(BufferPool, SizesAreSeparate) {
    BufferPool pool;
    pool.borrow(ChunkSize::kSmall).reset();
    Buffer large = pool.borrow(ChunkSize::kLarge);
    EXPECT_EQ(large.size(), limits::kChunkLargeBytes);
    EXPECT_EQ(pool.stats(ChunkSize::kLarge).misses, 1u);
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).free, 1u);
}

TEST(BufferPool, KeepsNoMoreThanItsBound) {
    BufferPool pool;
    std::vector<Buffer> out;
    for (std::size_t i = 0; i < limits::kPooledSmallChunks + 5; ++i) {
        out.push_back(pool.borrow(ChunkSize::kSmall));
    }
    out.clear();
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).free, limits::kPooledSmallChunks);
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).borrowed, 0u);
    pool.trim();
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).free, 0u);
    pool.borrow(ChunkSize::kSmall).reset();
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).free, 1u);
}

TEST(BufferPool, MovedBuffersReturnOnce) {
    BufferPool pool;
    {
        Buffer a = pool.borrow(ChunkSize::kSmall);
        Buffer b = std::move(a);
        Buffer c = pool.borrow(ChunkSize::kSmall);
        c = std::move(b);
        EXPECT_EQ(pool.stats(ChunkSize::kSmall).borrowed, 1u);
    }
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).borrowed, 0u);
    EXPECT_EQ(pool.stats(ChunkSize::kSmall).free, 2u);
}

TEST(BufferPool, ThreadsMayShareIt) {
    BufferPool pool;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2'000; ++i) {
                Buffer a = pool.borrow(ChunkSize::kSmall);
                Buffer b = pool.borrow(ChunkSize::kLarge);
                a.data()[0] = b.data()[0] = std::byte(i);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (const auto size : {ChunkSize::kSmall, ChunkSize::kLarge}) {
        EXPECT_EQ(pool.stats(size).borrowed, 0u);
        EXPECT_EQ(pool.stats(size).hits + pool.stats(size).misses, 6'000u);
    }
}

}  // namespace
}  // namespace sluice::io
