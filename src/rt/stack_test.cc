#include <gtest/gtest.h>
#include <sys/mman.h>

#include <set>
#include <thread>
#include <vector>

#include "rt/local_queue.h"
#include "rt/runtime.h"
#include "rt/scheduler.h"
#include "rt/stack_arena.h"

namespace sluice::rt {
namespace {

constexpr std::size_t kSlotBytes = 64 * 1024;

TEST(StackArena, SlotsAreApartAndReusedHotFirst) {
    StackArena arena(nullptr, kSlotBytes);
    FiberList taken;
    arena.take(taken, 600);  // more than two chunks
    EXPECT_EQ(arena.carved(), 600U);
    EXPECT_EQ(arena.unguarded(), 0U);
    std::set<char*> lowers;
    FiberList back;
    Fiber* last = nullptr;
    while (Fiber* fiber = taken.pop_front()) {
        const StackArena::Bounds stack = arena.bounds(fiber);
        EXPECT_GT(stack.upper - stack.lower, static_cast<std::ptrdiff_t>(kSlotBytes - 2 * 4096));
        lowers.insert(stack.lower);
        *stack.lower = 'x';  // the lowest byte is usable
        EXPECT_EQ(arena.overflowed_into(stack.lower - 1), fiber);
        EXPECT_EQ(arena.overflowed_into(stack.lower), nullptr);
        back.push_back(fiber);
        last = fiber;
    }
    EXPECT_EQ(lowers.size(), 600U);
    arena.give_back(std::move(back));
    arena.take(taken, 1);
    Fiber* again = taken.pop_front();
    EXPECT_EQ(again, last);
    taken.push_back(again);
    arena.give_back(std::move(taken));
    EXPECT_EQ(arena.carved(), 600U);
}

TEST(StackArena, ColdStacksGoBackToTheKernel) {
    StackArena arena(nullptr, kSlotBytes);
    constexpr std::size_t kCount = limits::kStackDepotWarm + 10;
    FiberList taken;
    arena.take(taken, kCount);
    FiberList back;
    std::vector<char*> lowers;
    while (Fiber* fiber = taken.pop_front()) {
        char* lower = arena.bounds(fiber).lower;
        *lower = 'x';
        lowers.push_back(lower);
        back.push_back(fiber);
    }
    arena.give_back(std::move(back));
    std::size_t resident = 0;
    for (char* lower : lowers) {
        unsigned char in_core = 0;
        ASSERT_EQ(mincore(lower, 4096, &in_core), 0);
        resident += in_core & 1;
    }
    EXPECT_EQ(resident, limits::kStackDepotWarm);
}

[[gnu::noinline]] int recurse(int depth) {
    volatile char frame[512];
    frame[depth % 512] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth - 1) + frame[depth % 512];
}

TEST(StackDeathTest, OverflowNamesTheFiber) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            Runtime runtime({.workers = 1});
            runtime.run([] { spawn([] { static_cast<void>(recurse(10'000'000)); }, "deep one"); });
        },
        "stack overflow in fiber [0-9]+ \"deep one\" on worker 0");
}

TEST(Stack, HoldsWhatItPromises) {
    Runtime runtime({.workers = 1});
    runtime.run([] { EXPECT_NE(recurse(300), -1); });  // some 160 KiB
}

TEST(LocalQueue, KeepsOrderOverflowsHalfAndIsStolenHalf) {
    StackArena arena(nullptr, kSlotBytes);
    FiberList fibers;
    arena.take(fibers, LocalQueue::kSlots + 1);
    std::vector<Fiber*> all;
    while (Fiber* fiber = fibers.pop_front()) all.push_back(fiber);
    LocalQueue queue;
    for (unsigned i = 0; i < LocalQueue::kSlots; ++i) ASSERT_TRUE(queue.push(all[i]));
    EXPECT_FALSE(queue.push(all[LocalQueue::kSlots]));
    queue.take_half(fibers);
    EXPECT_EQ(fibers.size(), LocalQueue::kSlots / 2);
    EXPECT_EQ(queue.size(), LocalQueue::kSlots / 2);
    for (unsigned i = 0; i < LocalQueue::kSlots / 2; ++i) EXPECT_EQ(fibers.pop_front(), all[i]);

    LocalQueue thief;
    std::uint32_t stolen = 0;
    Fiber* got = queue.steal_into(thief, stolen);
    EXPECT_EQ(stolen, LocalQueue::kSlots / 4);
    EXPECT_EQ(thief.size(), stolen - 1);
    EXPECT_EQ(thief.pop(), all[LocalQueue::kSlots / 2]);
    EXPECT_EQ(got, all[LocalQueue::kSlots / 2 + stolen - 1]);
    while (thief.pop() != nullptr) {
    }
    EXPECT_EQ(queue.pop(), all[LocalQueue::kSlots / 2 + stolen]);
    while (queue.pop() != nullptr) {
    }
    EXPECT_EQ(queue.steal_into(thief, stolen), nullptr);
    for (Fiber* fiber : all) fibers.push_back(fiber);
    arena.give_back(std::move(fibers));
}

// Owner and thieves together take every fiber exactly once.
TEST(LocalQueue, NothingLostNothingTwice) {
    constexpr int kRounds = 400;
    constexpr unsigned kFibers = 200;
    StackArena arena(nullptr, kSlotBytes);
    FiberList fibers;
    arena.take(fibers, kFibers);
    std::vector<Fiber*> all;
    while (Fiber* fiber = fibers.pop_front()) all.push_back(fiber);
    LocalQueue queue;
    std::atomic<unsigned> taken = 0;
    std::atomic<int> round = 0;
    const auto thief = [&] {
        LocalQueue mine;
        while (round < kRounds) {
            std::uint32_t stolen = 0;
            if (queue.steal_into(mine, stolen) == nullptr) continue;
            ++taken;
            while (mine.pop() != nullptr) ++taken;
        }
    };
    std::thread first(thief);
    std::thread second(thief);
    for (int i = 0; i < kRounds; ++i) {
        for (unsigned n = 0; n < kFibers; ++n) {
            ASSERT_TRUE(queue.push(all[n]));
            if (n % 3 == 0 && queue.pop() != nullptr) ++taken;
        }
        while (taken < kFibers) {
            if (queue.pop() != nullptr) ++taken;
        }
        EXPECT_EQ(taken.exchange(0), kFibers);
        ++round;
    }
    first.join();
    second.join();
    for (Fiber* fiber : all) fibers.push_back(fiber);
    arena.give_back(std::move(fibers));
}

}  // namespace
}  // namespace sluice::rt
