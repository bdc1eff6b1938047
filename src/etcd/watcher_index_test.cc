#include "etcd/watcher_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sluice::etcd {
namespace {

const std::string kToTheEnd(1, '\0');

std::multiset<std::string> matches(const WatcherIndex& index, std::string_view key) {
    std::multiset<std::string> found;
    index.for_each_match(key, [&](WatchGroup& group) {
        found.insert(std::string(WatcherIndex::key_of(group)) + ".." +
                     std::string(WatcherIndex::range_end_of(group)));
    });
    return found;
}

TEST(WatcherIndex, SameRangeIsOneGroup) {
    WatcherIndex index(/*seed=*/1);
    WatchGroup& a = index.acquire("a", "");
    EXPECT_EQ(&a, &index.acquire("a", ""));
    WatchGroup& range = index.acquire("a", "b");
    EXPECT_EQ(&range, &index.acquire("a", "b"));
    WatchGroup& open = index.acquire("a", kToTheEnd);
    EXPECT_NE(&range, &open);
    EXPECT_EQ(index.size(), 3U);
    EXPECT_EQ(a.watchers, 2U);
    index.release(a);
    EXPECT_EQ(index.size(), 3U);
    index.release(a);
    EXPECT_EQ(index.size(), 2U);
    index.release(range);
    index.release(range);
    index.release(open);
    EXPECT_EQ(index.size(), 0U);
}

TEST(WatcherIndex, FindsKeysAndRanges) {
    WatcherIndex index(/*seed=*/1);
    WatchGroup* groups[] = {&index.acquire("b", ""), &index.acquire("a", "c"),
                            &index.acquire("b", "b\xff"), &index.acquire("c", kToTheEnd)};
    using Set = std::multiset<std::string>;
    EXPECT_EQ(matches(index, "a"), Set({"a..c"}));
    EXPECT_EQ(matches(index, "b"), Set({"a..c", "b..", "b..b\xff"}));
    EXPECT_EQ(matches(index, "b1"), Set({"a..c", "b..b\xff"}));
    EXPECT_EQ(matches(index, "c"), Set({"c.." + kToTheEnd}));
    EXPECT_EQ(matches(index, "\xff\xff"), Set({"c.." + kToTheEnd}));
    EXPECT_EQ(matches(index, "A"), Set());
    EXPECT_EQ(matches(index, ""), Set());
    for (WatchGroup* group : groups) index.release(*group);
}

// Against a list of ranges, through thousands of additions and removals.
TEST(WatcherIndex, EqualsALinearSearch) {
    std::mt19937 random(31);
    const auto key = [&] {
        std::string text(1 + random() % 3, 'a');
        for (char& c : text) c = static_cast<char>('a' + random() % 5);
        return text;
    };
    WatcherIndex index(/*seed=*/1);
    std::multimap<std::pair<std::string, std::string>, WatchGroup*> plain;
    std::size_t found_total = 0;
    for (int round = 0; round < 20000; ++round) {
        if (plain.size() < 300 && random() % 5 < 3) {
            std::string begin = key();
            std::string end;
            switch (random() % 4) {
                case 0:
                    break;
                case 1:
                    end = kToTheEnd;
                    break;
                default:
                    end = key();
            }
            if (!end.empty() && end != kToTheEnd && end <= begin) end = begin + "c";
            WatchGroup& group = index.acquire(begin, end);
            plain.emplace(std::pair(begin, end), &group);
        } else if (!plain.empty()) {
            auto victim =
                std::next(plain.begin(), static_cast<std::ptrdiff_t>(random() % plain.size()));
            index.release(*victim->second);
            plain.erase(victim);
        }
        const std::string probe = key();
        std::set<WatchGroup*> expected;
        for (const auto& [range, group] : plain) {
            const auto& [begin, end] = range;
            if (end.empty() ? probe == begin
                            : probe >= begin && (end == kToTheEnd || probe < end)) {
                expected.insert(group);
            }
        }
        std::set<WatchGroup*> found;
        index.for_each_match(probe, [&](WatchGroup& group) {
            ASSERT_TRUE(found.insert(&group).second) << "visited twice";
        });
        ASSERT_EQ(found, expected) << "round " << round << " key " << probe;
        found_total += found.size();
    }
    EXPECT_GT(found_total, 100000U);
    for (const auto& [range, group] : plain) index.release(*group);
}

// Ranges whose order is that of the priorities of another index, so that with the same seed the
// tree would be a list, too deep for a fiber's stack.
TEST(WatcherIndex, WhoDoesNotKnowTheSeedCannotMakeItDeep) {
    constexpr std::size_t kRanges = 4'000;
    std::vector<std::pair<std::uint64_t, std::size_t>> priorities;
    std::uint64_t state = 7;
    for (std::size_t i = 0; i < kRanges; ++i) {
        std::uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        priorities.emplace_back(z ^ (z >> 31), i);
    }
    std::ranges::sort(priorities);
    std::vector<std::string> keys(kRanges);
    for (std::size_t rank = 0; rank < kRanges; ++rank) {
        keys[priorities[rank].second] = std::to_string(100'000 + rank);
    }
    for (const std::uint64_t seed : {7, 8}) {
        WatcherIndex index(seed);
        std::vector<WatchGroup*> groups;
        for (const std::string& key : keys) groups.push_back(&index.acquire(key, kToTheEnd));
        if (seed == 7) {
            EXPECT_EQ(index.height(), kRanges) << "the attack does not work";
        } else {
            EXPECT_LT(index.height(), 100u);
        }
        for (WatchGroup* group : groups) index.release(*group);
    }
}

TEST(WatcherIndex, ManyKeys) {
    WatcherIndex index(/*seed=*/1);
    std::vector<WatchGroup*> groups;
    for (int i = 0; i < 5000; ++i) groups.push_back(&index.acquire("key" + std::to_string(i), ""));
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(matches(index, "key" + std::to_string(i)).size(), 1U);
    for (int i = 0; i < 5000; i += 2) index.release(*groups[static_cast<std::size_t>(i)]);
    for (int i = 0; i < 5000; ++i) {
        EXPECT_EQ(matches(index, "key" + std::to_string(i)).size(), i % 2 == 0 ? 0U : 1U);
    }
    for (int i = 1; i < 5000; i += 2) index.release(*groups[static_cast<std::size_t>(i)]);
    EXPECT_EQ(index.size(), 0U);
}

}  // namespace
}  // namespace sluice::etcd
