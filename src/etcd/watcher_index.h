// Which watched keys and ranges an event's key falls into.
//
// Watchers of the same key, or of the same range, share one group. Single keys are found by hash;
// ranges by an interval tree (a treap ordered by begin, each node knowing the farthest end below
// it: Cormen et al., Introduction to Algorithms, 3rd ed., section 14.3), in O(log n) for each range
// that holds the key. A group costs about 90 bytes for a key of 40, twice that for a range.
//
// Not thread-safe: guarded by the hub's lock. Nothing suspends or blocks.
//
//   WatchGroup& group = index.acquire("/pods/", "/pods0");
//   index.for_each_match("/pods/a", [](WatchGroup& g) { ... });
//   index.release(group);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "etcd/watcher.h"

namespace sluice::etcd {

// A key or a range that is watched, and its watchers that are in step with the store.
struct WatchGroup {
    WatcherLink synced;
    std::uint32_t watchers = 0;  // in any state; the group lives while there are any
    std::uint32_t mark = 0;      // for who delivers: index + 1 into its list; 0 between deliveries
    bool is_range = false;
};

class WatcherIndex {
  public:
    // `seed` keeps the tree of ranges shallow against clients who choose their ranges to make it
    // deep: they must not know it.
    explicit WatcherIndex(std::uint64_t seed);
    ~WatcherIndex();
    WatcherIndex(const WatcherIndex&) = delete;
    WatcherIndex& operator=(const WatcherIndex&) = delete;

    // The group of that key or range (range_end as in RangeRequest: empty one key, "\0" to the end
    // of the keys), for one more watcher.
    WatchGroup& acquire(std::string_view key, std::string_view range_end);
    // For one watcher less; the last one frees it. No watcher may stand in its list then.
    void release(WatchGroup& group);

    static std::string_view key_of(const WatchGroup& group);
    static std::string_view range_end_of(const WatchGroup& group);  // as given to acquire()

    // Calls visit(WatchGroup&) for every group that the key falls into.
    template <class Visit>
    void for_each_match(std::string_view key, Visit&& visit) const {
        if (WatchGroup* group = find_key(key)) visit(*group);
        stab(ranges_, key, visit);
    }

    std::size_t size() const { return key_count_ + range_count_; }
    // Levels of the tree of ranges, for tests: about 2.5 log2(ranges). Linear in the ranges.
    std::size_t height() const;

  private:
    struct KeyGroup;
    // Public fields: the tree's algorithms are free functions in the source file.
    struct RangeGroup : WatchGroup {
        std::string begin;
        std::string end;  // unused if to_the_end
        bool to_the_end = false;
        std::uint64_t priority = 0;  // a parent's is never below its children's
        RangeGroup* left = nullptr;
        RangeGroup* right = nullptr;
        RangeGroup* farthest = nullptr;  // of this subtree, the one that ends last

        bool ends_after(std::string_view key) const { return to_the_end || key < end; }
    };
    struct Tree;  // the treap's algorithms

    WatchGroup* find_key(std::string_view key) const;
    WatchGroup& add_key(std::string_view key);
    void grow_buckets();

    template <class Visit>
    static void stab(RangeGroup* node, std::string_view key, Visit& visit) {
        if (!node || !node->farthest->ends_after(key)) return;
        stab(node->left, key, visit);
        if (key < node->begin) return;
        if (node->ends_after(key)) visit(*node);
        stab(node->right, key, visit);
    }

    std::vector<KeyGroup*> buckets_;  // a power of two; chained
    std::size_t key_count_ = 0;
    RangeGroup* ranges_ = nullptr;
    std::size_t range_count_ = 0;
    std::uint64_t random_;
};

}  // namespace sluice::etcd
