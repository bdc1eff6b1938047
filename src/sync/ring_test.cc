#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "sync/mpmc_ring.h"
#include "sync/mpsc_ring.h"

namespace sluice::sync {
namespace {

template <class Ring>
class RingTest : public ::testing::Test {};
using Rings = ::testing::Types<MpscRing<std::unique_ptr<int>>, MpmcRing<std::unique_ptr<int>>>;
TYPED_TEST_SUITE(RingTest, Rings);

TYPED_TEST(RingTest, FirstInFirstOutThroughManyRounds) {
    TypeParam ring(8);
    int pushed = 0;
    int popped = 0;
    for (int round = 0; round < 100; ++round) {
        const int fill = 1 + round % 8;
        for (int i = 0; i < fill; ++i) {
            EXPECT_TRUE(ring.try_push(std::make_unique<int>(pushed++)));
        }
        if (fill == 8) {
            auto kept = std::make_unique<int>(-1);
            EXPECT_FALSE(ring.try_push(std::move(kept)));
            EXPECT_NE(kept, nullptr);  // untouched
        }
        for (int i = 0; i < fill; ++i) {
            const auto element = ring.try_pop();
            ASSERT_TRUE(element.has_value());
            EXPECT_EQ(**element, popped++);
        }
        EXPECT_FALSE(ring.try_pop().has_value());
    }
}

TEST(Rings, DestroyWhatIsLeft) {
    const auto alive = std::make_shared<int>(1);
    {
        MpscRing<std::shared_ptr<int>> a(4);
        MpmcRing<std::shared_ptr<int>> b(4);
        for (int i = 0; i < 3; ++i) {
            EXPECT_TRUE(a.try_push(std::shared_ptr<int>(alive)));
            EXPECT_TRUE(b.try_push(std::shared_ptr<int>(alive)));
        }
        EXPECT_EQ(alive.use_count(), 7);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(MpscRing, PopsInBatches) {
    MpscRing<int> ring(16);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(ring.try_push(int(i)));
    std::vector<int> got;
    const auto sink = [&](int&& n) noexcept { got.push_back(n); };
    EXPECT_EQ(ring.pop_batch(sink, 4), 4u);
    EXPECT_EQ(ring.pop_batch(sink, 100), 6u);
    EXPECT_EQ(ring.pop_batch(sink, 100), 0u);
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(RingDeathTest, TheCapacityIsAPowerOfTwo) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(MpscRing<int>(12), "check failed");
    EXPECT_DEATH(MpmcRing<int>(1), "check failed");
}

// Threads on a tiny ring, so that full, empty and wrap-around happen all the time: each element
// arrives once, and those of one producer in their order at each consumer. TSan watches the data.
struct Element {
    std::unique_ptr<int> owned;
    int producer = 0;
};

template <class Ring>
void stress(Ring& ring, int each, int producers, int consumers) {
    std::atomic<int> received{0};
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(producers * each));
    std::vector<std::thread> threads;
    for (int p = 0; p < producers; ++p) {
        threads.emplace_back([&, p] {
            for (int i = 0; i < each; ++i) {
                Element element{std::make_unique<int>(i), p};
                // A full ring leaves it. NOLINTNEXTLINE(bugprone-use-after-move)
                while (!ring.try_push(std::move(element))) std::this_thread::yield();
            }
        });
    }
    for (int c = 0; c < consumers; ++c) {
        threads.emplace_back([&] {
            std::vector<int> last(static_cast<std::size_t>(producers), -1);
            while (received.load() < producers * each) {
                auto element = ring.try_pop();
                if (!element) {
                    std::this_thread::yield();
                    continue;
                }
                const auto producer = static_cast<std::size_t>(element->producer);
                const auto number = static_cast<std::size_t>(*element->owned);
                EXPECT_LT(last[producer], *element->owned);
                last[producer] = *element->owned;
                seen[producer * static_cast<std::size_t>(each) + number].fetch_add(1);
                received.fetch_add(1);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (auto& count : seen) ASSERT_EQ(count.load(), 1);
}

// Where the threads share one CPU with others, each filling of a ring takes all their time slices.
constexpr int kFew = 2'000;
constexpr int kMany = 20'000;

TEST(MpscRing, Stress) {
    MpscRing<Element> tiny(4);
    stress(tiny, kFew, 3, 1);
    MpscRing<Element> larger(64);
    stress(larger, kMany, 3, 1);
}

TEST(MpmcRing, Stress) {
    MpmcRing<Element> tiny(4);
    stress(tiny, kFew, 3, 3);
    MpmcRing<Element> larger(64);
    stress(larger, kMany, 3, 3);
}

}  // namespace
}  // namespace sluice::sync
