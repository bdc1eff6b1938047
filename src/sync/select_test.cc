#include "sync/select.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(Select, DoesWhatCanBeDone) {
    run_on(1, [] {
        Channel<int> numbers(1);
        Channel<std::string> words(1);
        std::optional<int> number;
        std::optional<std::string> word;
        EXPECT_TRUE(words.send("hi"));
        const Selected selected =
            select({receive_case(numbers, number), receive_case(words, word)});
        EXPECT_EQ(selected.index, 1);
        EXPECT_FALSE(selected.closed);
        EXPECT_EQ(word, "hi");
        int element = 7;
        EXPECT_EQ(select({send_case(numbers, element), receive_case(words, word)}).index, 0);
        EXPECT_EQ(numbers.receive(), 7);
    });
}

TEST(Select, TryDoesNotWait) {
    run_on(1, [] {
        Channel<int> channel(1);
        std::optional<int> target;
        EXPECT_EQ(try_select({receive_case(channel, target)}).index, kSelectNone);
        EXPECT_EQ(try_select({}).index, kSelectNone);
        int element = 3;
        EXPECT_EQ(try_select({send_case(channel, element)}).index, 0);
        EXPECT_EQ(try_select({send_case(channel, element)}).index, kSelectNone);
    });
}

TEST(Select, WaitsForTheFirst) {
    run_simulated(1, [] {
        Channel<int> a;
        Channel<int> b;
        Channel<int> c;
        std::optional<int> from_a;
        std::optional<int> from_b;
        int to_c = 5;
        Group group(nullptr);
        group.spawn([&] {
            rt::sleep_for(kMillisecond);
            EXPECT_TRUE(b.send(2));
        });
        EXPECT_EQ(
            select({receive_case(a, from_a), receive_case(b, from_b), send_case(c, to_c)}).index,
            1);
        EXPECT_EQ(from_b, 2);
        EXPECT_FALSE(from_a.has_value());
        EXPECT_TRUE(group.wait().has_value());
        // It has left the queues of the others.
        EXPECT_EQ(a.try_send(1), ChannelResult::kWouldWait);
        std::optional<int> nothing;
        EXPECT_EQ(c.try_receive(nothing), ChannelResult::kWouldWait);
    });
}

TEST(Select, TimesOut) {
    run_simulated(2, [] {
        Channel<int> channel;
        std::optional<int> target;
        Context timeout(nullptr, deadline_after(kSecond));
        EXPECT_EQ(select({receive_case(channel, target)}, timeout).index, kSelectCancelled);
        EXPECT_EQ(channel.try_send(1), ChannelResult::kWouldWait);
    });
}

TEST(Select, SaysThatAChannelIsClosed) {
    run_simulated(3, [] {
        Channel<int> channel;
        Channel<int> other;
        std::optional<int> target;
        Group group(nullptr);
        group.spawn([&] {
            rt::sleep_for(kMillisecond);
            channel.close();
        });
        Selected selected = select({receive_case(other, target), receive_case(channel, target)});
        EXPECT_EQ(selected.index, 1);
        EXPECT_TRUE(selected.closed);
        EXPECT_FALSE(target.has_value());
        EXPECT_TRUE(group.wait().has_value());
        int element = 1;
        selected = try_select({send_case(channel, element)});
        EXPECT_EQ(selected.index, 0);
        EXPECT_TRUE(selected.closed);
    });
}

TEST(Select, OneChannelMayOccurTwice) {
    run_simulated(4, [] {
        Channel<int> channel;
        int element = 1;
        std::optional<int> target;
        EXPECT_EQ(try_select({send_case(channel, element), receive_case(channel, target)}).index,
                  kSelectNone);
        Group group(nullptr);
        group.spawn([&] { EXPECT_TRUE(channel.send(9)); });
        EXPECT_EQ(select({send_case(channel, element), receive_case(channel, target)}).index, 1);
        EXPECT_EQ(target, 9);
        EXPECT_TRUE(group.wait().has_value());
    });
}

TEST(Select, ServesAllThatAreReady) {
    run_on(1, [] {
        Channel<int> a(100);
        Channel<int> b(100);
        Channel<int> c(100);
        for (int i = 0; i < 60; ++i) {
            (void)a.send(0);
            (void)b.send(0);
            (void)c.send(0);
        }
        std::array<int, 3> count{};
        for (int i = 0; i < 60; ++i) {
            std::optional<int> target;
            const Selected selected =
                select({receive_case(a, target), receive_case(b, target), receive_case(c, target)});
            ++count[static_cast<std::size_t>(selected.index)];
        }
        EXPECT_EQ(count, (std::array<int, 3>{20, 20, 20}));
    });
}

// Two select from each other in opposite order of cases: the order of locks does not deadlock, and
// every transfer has exactly one sender and one receiver.
TEST(Select, StressOfExchanges) {
    run_on(3, [] {
        Channel<int> a;
        Channel<int> b;
        std::atomic<int> sent{0};
        std::atomic<int> received{0};
        Group group(nullptr);
        Context stop(nullptr);
        for (int f = 0; f < 20; ++f) {
            group.spawn([&, f] {
                for (int i = 0; i < 500; ++i) {
                    int element = 1;
                    std::optional<int> target;
                    const Selected selected =
                        f % 2 == 0 ? select({send_case(a, element), receive_case(b, target)}, stop)
                                   : select({send_case(b, element), receive_case(a, target)}, stop);
                    if (selected.index == 0) sent.fetch_add(1);
                    if (selected.index == 1) received.fetch_add(1);
                    if (selected.index == kSelectCancelled) return;
                }
                // Whoever is left alone at the end stops.
                stop.cancel();
            });
        }
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(sent.load(), received.load());
        EXPECT_GE(sent.load(), 250);
    });
}

}  // namespace
}  // namespace sluice::sync
