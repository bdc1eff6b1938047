#include "etcd/watcher_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

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
    WatcherIndex index;
    WatchGroup& a = index.acquire("a", "");
    EXPECT_EQ(&a, &index.acquire("a", ""));
    WatchGroup& range = index.acquire("a", "b");
    EXPECT_EQ(&range, &index.acquire("a", "b"));
    WatchGroup& open = index.acquire("a", kToTheEnd);
    EXPECT_NE(&range, &open);
    EXPECT_EQ(index.size(), 3U);
    EXPECT_EQ(index.groups().size(), 3U);
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
    WatcherIndex index;
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
    WatcherIndex index;
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

TEST(WatcherIndex, ManyKeys) {
    WatcherIndex index;
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
