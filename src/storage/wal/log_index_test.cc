#include "storage/wal/log_index.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice::storage::wal {
namespace {

TEST(LogIndex, AgreesWithAPlainVector) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 200; ++round) {
        LogIndex index;
        std::vector<std::uint64_t> terms = {0};  // [i]: term of entry i
        std::uint64_t first = 1;
        for (int step = 0; step < 100; ++step) {
            const std::uint64_t last = terms.size() - 1;
            switch (random() % 8) {
                case 0: {
                    const std::uint64_t keep = first - 1 + random() % (last - first + 2);
                    index.truncate_after(keep);
                    terms.resize(keep + 1);
                    break;
                }
                case 1: {
                    const std::uint64_t to = random() % (last + 1);
                    index.release_to(to);
                    first = std::max(first, to + 1);
                    break;
                }
                default: {
                    const std::uint64_t term =
                        std::max<std::uint64_t>(1, terms.back()) + (random() % 3 == 0 ? 1 : 0);
                    index.append(last + 1, term);
                    terms.push_back(term);
                }
            }
            ASSERT_EQ(index.last_index(), terms.size() - 1);
            ASSERT_EQ(index.first_index(), first);
            for (std::uint64_t i = first - 1; i < terms.size(); ++i) {
                ASSERT_EQ(index.term_at(i), terms[i]);
            }
            ASSERT_EQ(index.term_at(terms.size()), 0u);
        }
    }
}

TEST(LogIndex, AcceptsOnlyWhatFollows) {
    LogIndex index(5, 3);
    EXPECT_EQ(index.last_index(), 4u);
    EXPECT_EQ(index.last_term(), 3u);
    EXPECT_FALSE(index.follows(4, 3));
    EXPECT_FALSE(index.follows(6, 3));
    EXPECT_FALSE(index.follows(5, 2));
    EXPECT_TRUE(index.follows(5, 3));
}

}  // namespace
}  // namespace sluice::storage::wal
