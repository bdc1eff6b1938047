#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "arch/switch.h"
#include "rt/baton_testing.h"
#include "rt/fiber_depths.h"
#include "rt/local_queue.h"
#include "rt/runtime.h"
#include "rt/scheduler.h"
#include "rt/stack_arena.h"
#include "rt/timer.h"

namespace sluice::rt {
namespace {

constexpr std::size_t kSlotBytes = 64 * 1024;
constexpr unsigned kWarm = 100;  // free slots that keep their memory

TEST(StackArena, SlotsAreApartAndReusedHotFirst) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
    arena.set_tended(true);
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

// Takes so many slots, writes to the lowest byte of each, and gives all back.
std::vector<char*> use_slots(StackArena& arena, std::size_t count) {
    FiberList taken;
    arena.take(taken, count);
    FiberList back;
    std::vector<char*> lowers;
    while (Fiber* fiber = taken.pop_front()) {
        char* lower = arena.bounds(fiber).lower;
        *lower = 'x';
        lowers.push_back(lower);
        back.push_back(fiber);
    }
    arena.give_back(std::move(back));
    return lowers;
}

std::size_t resident(const std::vector<char*>& pages) {
    std::size_t count = 0;
    for (char* page : pages) {
        unsigned char in_core = 0;
        EXPECT_EQ(mincore(page, 4096, &in_core), 0);
        count += in_core & 1;
    }
    return count;
}

TEST(StackArena, ASurplusGoesToTheKernelWhenItWasNotNeededForAWhile) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
    arena.set_tended(true);
    constexpr std::size_t kCount = 2000;
    const std::vector<char*> lowers = use_slots(arena, kCount);
    EXPECT_EQ(resident(lowers), kCount);
    TimeNs now_ns = 1;
    EXPECT_TRUE(arena.tend(now_ns));
    now_ns += limits::kStackSurplusNs - 1;
    EXPECT_TRUE(arena.tend(now_ns));
    EXPECT_EQ(arena.figures().returned, 0U);

    // What was needed meanwhile stays for one more time.
    constexpr std::size_t kNeeded = 300;
    use_slots(arena, kNeeded);
    EXPECT_TRUE(arena.tend(++now_ns));
    EXPECT_EQ(arena.figures().returned, kCount - kWarm - kNeeded);
    EXPECT_EQ(resident(lowers), kWarm + kNeeded);
    EXPECT_TRUE(arena.tend(now_ns));
    EXPECT_FALSE(arena.tend(now_ns + limits::kStackSurplusNs));
    EXPECT_EQ(resident(lowers), kWarm);
    EXPECT_EQ(arena.figures().cold, kCount - kWarm);
    EXPECT_FALSE(arena.tend(now_ns));

    EXPECT_EQ(use_slots(arena, kCount).size(), kCount);  // cold ones serve again
    EXPECT_EQ(arena.carved(), kCount);
    EXPECT_EQ(arena.figures().cold, 0U);
}

TEST(StackArena, NeighboursGoBackTogether) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, 0);
    arena.set_tended(true);
    constexpr std::size_t kCount = 4096;  // 16 chunks
    const std::vector<char*> lowers = use_slots(arena, kCount);
    arena.shrink();
    EXPECT_EQ(resident(lowers), 0U);
    EXPECT_EQ(arena.figures().returned, kCount);
    EXPECT_LE(arena.figures().return_calls, kCount / 256);
    EXPECT_EQ(arena.figures().high_water_bytes, kSlotBytes);  // all but the guard, odd pages

    // The guards have stayed.
    FiberList taken;
    arena.take(taken, 1);
    EXPECT_EQ(arena.overflowed_into(arena.bounds(taken.front()).lower - 1), taken.front());
    unsigned char in_core = 1;
    EXPECT_EQ(mincore(arena.bounds(taken.front()).lower - 4096, 4096, &in_core), 0);
    EXPECT_EQ(in_core & 1, 0);
    arena.give_back(std::move(taken));
}

TEST(StackArena, SlotsThatAreNoNeighboursGoBackInFewCalls) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, 0);
    arena.set_tended(true);
    constexpr std::size_t kCount = 2000;
    FiberList taken;
    arena.take(taken, kCount);
    FiberList odd;
    FiberList even;
    while (Fiber* fiber = taken.pop_front()) {
        (odd.size() < even.size() ? odd : even).push_back(fiber);
    }
    arena.give_back(std::move(odd));
    arena.shrink();
    EXPECT_EQ(arena.figures().returned, kCount / 2);
    utsname kernel{};
    ASSERT_EQ(uname(&kernel), 0);
    const bool vectored = std::atof(kernel.release) >= 6.15 || std::atoi(kernel.release) > 6;
    EXPECT_LE(arena.figures().return_calls, vectored ? 1U : kCount / 2);
    arena.give_back(std::move(even));
}

TEST(StackArena, WithoutATenderTheSurplusGoesBackInBatches) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
    const std::vector<char*> lowers = use_slots(arena, kWarm + 2 * limits::kStackReturnBatch);
    EXPECT_EQ(resident(lowers), kWarm);
    EXPECT_LE(arena.figures().return_calls, 3U);
}

TEST(StackArena, SeesHowDeepASlotWasUsed) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
    FiberList taken;
    arena.take(taken, 3);
    Fiber* const fiber = taken.front();
    const StackArena::Bounds stack = arena.bounds(fiber);
    EXPECT_EQ(arena.touched_bytes(*fiber), 4096U);  // the Fiber object's page
    stack.upper[-10'000] = 'x';
    const std::size_t deep = arena.touched_bytes(*fiber);
    EXPECT_GE(deep, 10'000U);
    EXPECT_LE(deep, 16'384U);
    EXPECT_EQ(arena.figures().high_water_bytes, deep);
    arena.refresh(*fiber);
    EXPECT_EQ(arena.touched_bytes(*fiber), 4096U);
    *stack.lower = 'x';
    arena.look();
    EXPECT_EQ(arena.figures().high_water_bytes, kSlotBytes);
    arena.give_back(std::move(taken));
}

// Not instrumented: ASan would put the array elsewhere than on the stack.
[[gnu::noinline]] SLUICE_UNINSTRUMENTED int recurse(int depth) {
    volatile char frame[512];
    frame[depth % 512] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth - 1) + frame[depth % 512];
}

void overflow(StackClass size) {
    const FiberTraits traits("deep one", size);
    Runtime runtime({.workers = 1});
    runtime.run([&] { spawn([] { static_cast<void>(recurse(10'000'000)); }, traits); });
}

class StackDeathTest : public testing::TestWithParam<StackClass> {};

TEST_P(StackDeathTest, OverflowNamesTheFiberAndShowsItsStack) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        overflow(GetParam()),
        std::string("stack overflow in fiber [0-9]+ \"deep one\" on worker 0, a ") +
            stack_class_name(GetParam()) +
            " stack\n  #0 0x[0-9a-f]+ sluice::rt::.anonymous namespace.::recurse.0x[0-9a-f]+"
            "\n  #1 0x[0-9a-f]+ sluice::rt::.anonymous namespace.::recurse.0x[0-9a-f]+\n");
}
INSTANTIATE_TEST_SUITE_P(Stack, StackDeathTest, testing::ValuesIn(kEveryStackClass));

TEST(Stack, HoldsWhatItPromises) {
    Runtime runtime({.workers = 1});
    runtime.run([] { EXPECT_NE(recurse(300), -1); });  // some 160 KiB
}

std::size_t slot_of(StackClass size) {
    const std::size_t bytes = size == StackClass::kSmall    ? limits::kFiberStackSmallBytes
                              : size == StackClass::kNormal ? limits::kFiberStackBytes
                                                            : limits::kFiberStackLargeBytes;
    return bytes * arch::kStackFactor + 4096;
}

TEST(StackClass, EachHasItsOwnArenaAndReport) {
    Runtime runtime({.workers = 1});
    constexpr std::array kCounts{70U, 70U, 3U};
    runtime.run([&] {
        Baton done;
        std::atomic<unsigned> left = kCounts[0] + kCounts[1] + kCounts[2];
        for (const StackClass size : kEveryStackClass) {
            for (unsigned i = 0; i < kCounts[static_cast<std::size_t>(size)]; ++i) {
                spawn(
                    [&] {
                        EXPECT_NE(recurse(20), -1);
                        if (left.fetch_sub(1) == 1) done.post();
                    },
                    {stack_class_name(size), size});
            }
        }
        done.wait();
    });
    const StackReport report = runtime.stack_report();
    for (const StackClass size : kEveryStackClass) {
        const auto index = static_cast<std::size_t>(size);
        const StackReport::Class& one = report.classes[index];
        EXPECT_EQ(one.slot_bytes, slot_of(size));
        EXPECT_GE(one.slots, kCounts[index]);
        EXPECT_GE(one.high_water_bytes, 20U * 512);
        EXPECT_LT(one.high_water_bytes, one.slot_bytes);
        // One new slot in limits::kStackMeasureEvery is measured.
        const auto named =
            std::ranges::find(report.fibers, std::string(one.name), &StackReport::Depth::name);
        ASSERT_NE(named, report.fibers.end()) << one.name;
        EXPECT_EQ(named->stack, size);
        EXPECT_GE(named->high_water_bytes, 20U * 512);
        EXPECT_GE(named->samples, 1U);
    }
    EXPECT_EQ(runtime.stats().stacks,
              report.classes[0].slots + report.classes[1].slots + report.classes[2].slots);
}

// A burst's stacks go back while the runtime is idle, without anybody's help.
TEST(StackClass, ABurstsMemoryGoesBackByItself) {
    Runtime runtime({.workers = 1});
    constexpr unsigned kFibers = 4 * limits::kStackDepotWarm;
    constexpr unsigned kKept = limits::kStackDepotWarm + 4 * limits::kStackCacheSlots;
    std::thread outside;
    runtime.run([&] {
        Baton done;
        std::atomic<unsigned> left = kFibers;
        for (unsigned i = 0; i < kFibers; ++i) {
            spawn(
                [&] {
                    yield();
                    if (left.fetch_sub(1) == 1) done.post();
                },
                {"burst", StackClass::kSmall});
        }
        done.wait();
        Baton back;
        outside = std::thread([&] {
            const auto returned = [&] { return runtime.stack_report().classes[0].returned; };
            while (returned() < kFibers - kKept) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
            back.post();
        });
        back.wait(WaitReason::kOther);
    });
    outside.join();
}

// Also the warm ones, and those that a worker keeps for itself.
TEST(StackClass, ObeysTheMemoryLimit) {
    std::atomic<std::size_t> resident_now = 1 << 20;
    MemoryLimit memory(2 << 20, [&] { return resident_now.load(); });
    Runtime runtime({.workers = 1, .memory = &memory});
    runtime.run([&] {
        for (int i = 0; i < 100; ++i) spawn([] {});
        yield();
        const auto slots = [&] {
            return runtime.stack_report().classes[static_cast<std::size_t>(StackClass::kNormal)];
        };
        ASSERT_GE(slots().slots, 100U);
        EXPECT_EQ(slots().cold, 0U);
        resident_now = 3 << 20;
        while (slots().cold + 1 < slots().slots) sleep_for(kMillisecond);  // all but this one
        EXPECT_GE(slots().returned, 99U);
    });
}

TEST(FiberDepths, IsBounded) {
    FiberDepths depths;
    for (std::size_t i = 0; i < 2 * limits::kStackNamesMax; ++i) {
        depths.record(std::to_string(i), StackClass::kNormal, 4096 + i);
    }
    const std::vector<StackReport::Depth> all = depths.all();
    ASSERT_EQ(all.size(), limits::kStackNamesMax);
    EXPECT_EQ(all.front().name, "other");
    EXPECT_EQ(all.front().high_water_bytes, 4096 + 2 * limits::kStackNamesMax - 1);
    EXPECT_EQ(all.front().samples, limits::kStackNamesMax + 1);
    EXPECT_EQ(all.back().name, "0");
}

TEST(LocalQueue, KeepsOrderOverflowsHalfAndIsStolenHalf) {
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
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
    StackArena arena(nullptr, StackClass::kNormal, kSlotBytes, kWarm);
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
