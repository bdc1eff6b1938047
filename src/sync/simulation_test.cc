// Random programs over channels, select, contexts and groups, simulated with many seeds. What must
// hold: every element whose send succeeded is received exactly once or still lies in its channel,
// in its sender's order; no element arrives whose send failed; nobody waits for ever.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "sync/group.h"
#include "sync/mutex.h"
#include "sync/run_testing.h"
#include "sync/select.h"

namespace sluice::sync {
namespace {

struct Item {
    int sender = 0;
    int number = 0;
    auto operator<=>(const Item&) const = default;
};

class Program {
  public:
    explicit Program(std::uint64_t seed) : random_(seed) {
        for (auto& channel : channels_) channel = std::make_unique<Channel<Item>>(below(3));
    }

    void run() {
        const std::size_t fibers = 2 + below(8);
        Group group(nullptr);
        Group senders(&group.context());
        for (std::size_t f = 0; f < fibers; ++f) {
            senders.spawn([this, f, seed = random_()] { send_some(static_cast<int>(f), seed); });
            group.spawn([this, seed = random_()] { receive_some(seed); });
        }
        EXPECT_TRUE(senders.wait().has_value());
        if (below(2) == 0) {
            for (auto& channel : channels_) channel->close();
        }
        stop_.cancel();
        EXPECT_TRUE(group.wait().has_value());
        check();
    }

  private:
    static constexpr std::size_t kChannels = 3;

    std::size_t below(std::size_t bound) { return random_() % bound; }

    // Some operations have a deadline, so that they often fail half-way.
    static TimeNs random_deadline(std::mt19937_64& random) {
        return random() % 3 == 0 ? deadline_after(static_cast<TimeNs>(random() % 50)) : kNever;
    }
    static void rest(std::mt19937_64& random) {
        if (random() % 4 == 0) rt::sleep_for(static_cast<TimeNs>(random() % 40));
        if (random() % 4 == 0) rt::yield();
    }

    void send_some(int sender, std::uint64_t seed) {
        std::mt19937_64 random(seed);
        for (int i = 0; i < 20; ++i) {
            // Receivers stop only after all senders, but may be few: so a sender never insists.
            Context context(nullptr, deadline_after(static_cast<TimeNs>(random() % 500)));
            Item item{sender, i};
            const std::size_t first = random() % kChannels;
            const std::size_t second = random() % kChannels;
            if (random() % 2 == 0) {
                if (channels_[first]->send(Item(item), context)) sent_[first].insert(item);
            } else {
                Item twin = item;
                const Selected selected = select(
                    {send_case(*channels_[first], item), send_case(*channels_[second], twin)},
                    context);
                if (selected.index == 0) sent_[first].insert(item);
                if (selected.index == 1) sent_[second].insert(twin);
            }
            rest(random);
        }
    }

    void receive_some(std::uint64_t seed) {
        std::mt19937_64 random(seed);
        while (!stop_.ended()) {
            Context context(&stop_, random_deadline(random));
            const std::size_t first = random() % kChannels;
            const std::size_t second = random() % kChannels;
            std::optional<Item> a;
            std::optional<Item> b;
            if (random() % 2 == 0) {
                if (auto item = channels_[first]->receive(context)) a = *item;
            } else {
                (void)select(
                    {receive_case(*channels_[first], a), receive_case(*channels_[second], b)},
                    context);
                ASSERT_FALSE(a.has_value() && b.has_value());
            }
            if (a) received(first, *a);
            if (b) received(second, *b);
            rest(random);
        }
    }

    void received(std::size_t channel, const Item& item) {
        EXPECT_TRUE(received_[channel].insert(item).second) << "twice";
    }

    void check() {
        for (std::size_t c = 0; c < kChannels; ++c) {
            std::optional<Item> rest;
            std::map<int, int> last;
            while (channels_[c]->try_receive(rest) == ChannelResult::kDone) {
                received(c, *rest);
                const auto [place, fresh] = last.try_emplace(rest->sender, rest->number);
                EXPECT_TRUE(fresh || place->second < rest->number) << "order";
                place->second = rest->number;
            }
            EXPECT_EQ(sent_[c], received_[c]);
        }
    }

    std::mt19937_64 random_;
    std::array<std::unique_ptr<Channel<Item>>, kChannels> channels_;
    std::array<std::set<Item>, kChannels> sent_;
    std::array<std::set<Item>, kChannels> received_;
    Context stop_{nullptr};
};

TEST(Simulation, RandomProgramsLoseAndDoubleNothing) {
    for_each_seed(400,
                  [](std::uint64_t seed) { run_simulated(seed, [seed] { Program(seed).run(); }); });
}

// Trees of groups in which errors, deadlines and cancels hit at random: every fiber ends, and a
// group ends with the parent's reason or its own first error.
TEST(Simulation, RandomTreesOfGroupsAlwaysJoin) {
    for_each_seed(300, [](std::uint64_t seed) {
        int started = 0;
        int ended = 0;
        run_simulated(seed, [&] {
            std::mt19937_64 random(seed);
            struct Tree {
                std::mt19937_64& random;
                int& started;
                int& ended;
                Status grow(const Context& context, int depth) {
                    ++started;
                    Group group(&context, 1 + random() % 3);
                    const std::size_t children = depth == 0 ? 0 : random() % 4;
                    for (std::size_t i = 0; i < children; ++i) {
                        group.spawn(
                            [this, &group, depth] { return grow(group.context(), depth - 1); });
                        if (random() % 8 == 0) group.cancel();
                    }
                    Status own;
                    if (random() % 8 == 0) own = fail(Code::kAborted, "bad luck");
                    Context nap(&group.context(),
                                deadline_after(static_cast<TimeNs>(random() % 100)));
                    Channel<int> never;
                    EXPECT_FALSE(never.receive(nap).has_value());
                    const Status joined = group.wait();
                    EXPECT_TRUE(joined || group.context().ended());
                    ++ended;
                    return own ? joined : own;
                }
            } tree{random, started, ended};
            Context root(nullptr, deadline_after(static_cast<TimeNs>(random() % 300)));
            (void)tree.grow(root, 4);
        });
        ASSERT_EQ(started, ended);
    });
}

// Mutexes with deadlines: the protected sum is right, and nobody is left in a queue.
TEST(Simulation, MutexWithDeadlines) {
    for_each_seed(200, [](std::uint64_t seed) {
        run_simulated(seed, [seed] {
            Mutex mutex;
            int inside = 0;
            int taken = 0;
            Group group(nullptr);
            for (std::uint64_t f = 0; f < 6; ++f) {
                group.spawn([&, f]() SLUICE_NO_THREAD_SAFETY_ANALYSIS {
                    std::mt19937_64 random(seed * 100 + f);
                    for (int i = 0; i < 20; ++i) {
                        Context context(nullptr,
                                        random() % 2 == 0
                                            ? deadline_after(static_cast<TimeNs>(random() % 100))
                                            : kNever);
                        if (!mutex.lock(context)) continue;
                        EXPECT_EQ(++inside, 1);
                        rt::sleep_for(static_cast<TimeNs>(random() % 30));
                        --inside;
                        ++taken;
                        mutex.unlock();
                    }
                });
            }
            EXPECT_TRUE(group.wait().has_value());
            EXPECT_GE(taken, 20);
        });
    });
}

}  // namespace
}  // namespace sluice::sync
