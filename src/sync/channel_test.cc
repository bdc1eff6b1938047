#include "sync/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "sync/group.h"
#include "sync/run_testing.h"

namespace sluice::sync {
namespace {

TEST(Channel, BufferedKeepsOrder) {
    run_on(1, [] {
        Channel<int> channel(3);
        EXPECT_TRUE(channel.send(1));
        EXPECT_TRUE(channel.send(2));
        EXPECT_TRUE(channel.send(3));
        EXPECT_EQ(channel.size(), 3u);
        EXPECT_EQ(channel.try_send(4), ChannelResult::kWouldWait);
        EXPECT_EQ(channel.receive(), 1);
        EXPECT_TRUE(channel.send(4));
        for (int expected = 2; expected <= 4; ++expected) EXPECT_EQ(channel.receive(), expected);
        std::optional<int> nothing;
        EXPECT_EQ(channel.try_receive(nothing), ChannelResult::kWouldWait);
    });
}

TEST(Channel, UnbufferedSendMeetsItsReceiver) {
    run_simulated(1, [] {
        Channel<std::string> channel;
        std::vector<std::string> events;
        Group group(nullptr);
        EXPECT_EQ(channel.try_send("nobody"), ChannelResult::kWouldWait);
        group.spawn([&] {
            EXPECT_TRUE(channel.send("hello"));
            events.push_back("sent");
        });
        rt::sleep_for(kMillisecond);
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(channel.receive(), "hello");
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(events.size(), 1u);
    });
}

TEST(Channel, CloseLetsReceiversDrain) {
    run_on(1, [] {
        Channel<int> channel(2);
        EXPECT_TRUE(channel.send(1));
        EXPECT_TRUE(channel.send(2));
        channel.close();
        channel.close();
        EXPECT_TRUE(channel.closed());
        EXPECT_FALSE(channel.send(3));
        EXPECT_EQ(channel.send(3, Context::background()).error().code(), Code::kFailedPrecondition);
        EXPECT_EQ(channel.receive(), 1);
        EXPECT_EQ(channel.receive(Context::background()).value(), 2);
        EXPECT_EQ(channel.receive(), std::nullopt);
        EXPECT_EQ(channel.receive(Context::background()).error().code(), Code::kOutOfRange);
    });
}

TEST(Channel, CloseWakesAllWhoWait) {
    run_simulated(2, [] {
        Channel<int> empty;
        Channel<int> full(1);
        EXPECT_TRUE(full.send(0));
        Group group(nullptr);
        int refused = 0;
        int ended = 0;
        for (int i = 0; i < 5; ++i) {
            group.spawn([&] { ended += empty.receive().has_value() ? 0 : 1; });
            group.spawn([&] { refused += full.send(7) ? 0 : 1; });
        }
        rt::sleep_for(kMillisecond);
        empty.close();
        full.close();
        EXPECT_TRUE(group.wait().has_value());
        EXPECT_EQ(refused, 5);
        EXPECT_EQ(ended, 5);
        EXPECT_EQ(full.receive(), 0);
        EXPECT_EQ(full.receive(), std::nullopt);
    });
}

TEST(Channel, MovesElementsAndKeepsThemOnFailure) {
    run_simulated(3, [] {
        Channel<std::unique_ptr<int>> channel(1);
        EXPECT_TRUE(channel.send(std::make_unique<int>(1)));
        auto second = std::make_unique<int>(2);
        Context context(nullptr, deadline_after(kSecond));
        EXPECT_EQ(channel.send(std::move(second), context).error().code(), Code::kDeadlineExceeded);
        ASSERT_NE(second, nullptr);
        EXPECT_EQ(channel.try_send(std::move(second)), ChannelResult::kWouldWait);
        ASSERT_NE(second, nullptr);
        EXPECT_EQ(**channel.receive(), 1);
        EXPECT_TRUE(channel.send(std::move(second)));
        EXPECT_EQ(second, nullptr);
    });  // the second is destroyed with the channel: ASan sees it if not
}

TEST(Channel, ReceiveGivesUpWithItsContext) {
    run_simulated(4, [] {
        Channel<int> channel;
        Context context(nullptr, deadline_after(kSecond));
        EXPECT_EQ(channel.receive(context).error().code(), Code::kDeadlineExceeded);
        // The waiter that gave up is no longer in the queue.
        EXPECT_EQ(channel.try_send(1), ChannelResult::kWouldWait);
    });
}

struct StressCase {
    std::size_t capacity;
    unsigned workers;
};

class ChannelStress : public testing::TestWithParam<StressCase> {};

// Every element arrives exactly once, those of one sender in order.
TEST_P(ChannelStress, ManyToMany) {
    constexpr int kSenders = 8;
    constexpr int kReceivers = 5;
    constexpr int kEach = 1'000;
    run_on(GetParam().workers, [] {
        struct Item {
            int sender;
            int number;
        };
        Channel<Item> channel(GetParam().capacity);
        std::atomic<int> received{0};
        std::atomic<std::int64_t> sum{0};
        Group receivers(nullptr);
        for (int r = 0; r < kReceivers; ++r) {
            receivers.spawn([&] {
                std::vector<int> last(kSenders, -1);
                while (auto item = channel.receive()) {
                    EXPECT_GT(item->number, last[static_cast<std::size_t>(item->sender)]);
                    last[static_cast<std::size_t>(item->sender)] = item->number;
                    received.fetch_add(1);
                    sum.fetch_add(item->number);
                }
            });
        }
        Group senders(nullptr);
        for (int s = 0; s < kSenders; ++s) {
            senders.spawn([&channel, s] {
                for (int i = 0; i < kEach; ++i) EXPECT_TRUE(channel.send({s, i}));
            });
        }
        EXPECT_TRUE(senders.wait().has_value());
        channel.close();
        EXPECT_TRUE(receivers.wait().has_value());
        EXPECT_EQ(received.load(), kSenders * kEach);
        EXPECT_EQ(sum.load(), std::int64_t{kSenders} * kEach * (kEach - 1) / 2);
    });
}

INSTANTIATE_TEST_SUITE_P(Sizes, ChannelStress,
                         testing::Values(StressCase{0, 1}, StressCase{0, 3}, StressCase{1, 3},
                                         StressCase{64, 3}),
                         [](const auto& info) {
                             return "Capacity" + std::to_string(info.param.capacity) + "Workers" +
                                    std::to_string(info.param.workers);
                         });

}  // namespace
}  // namespace sluice::sync
