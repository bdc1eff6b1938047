#include "etcd/watcher_index.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <tuple>
#include <utility>

#include "base/key_hash.h"

namespace sluice::etcd {
namespace {

constexpr std::string_view kToTheEnd("\0", 1);
constexpr std::size_t kBucketsMin = 16;

// splitmix64 (Steele, Lea, Flood 2014); any state will do.
std::uint64_t next_random(std::uint64_t& state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

// The key's bytes follow the object.
struct WatcherIndex::KeyGroup : WatchGroup {
    KeyGroup* next_in_bucket = nullptr;
    std::uint32_t size = 0;

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), size}; }

    static KeyGroup* make(std::string_view key) {
        auto* group = new (::operator new(sizeof(KeyGroup) + key.size())) KeyGroup;
        group->size = static_cast<std::uint32_t>(key.size());
        std::memcpy(group->bytes(), key.data(), key.size());
        return group;
    }
    static void free(KeyGroup* group) {
        group->~KeyGroup();
        ::operator delete(group);
    }
};

// The treap. Every function that changes a subtree returns its new root.
struct WatcherIndex::Tree {
    // Order by begin, then by end; "to the end" after every other.
    static bool before(const RangeGroup& a, const RangeGroup& b) {
        if (const int order = a.begin.compare(b.begin); order != 0) return order < 0;
        if (a.to_the_end || b.to_the_end) return !a.to_the_end && b.to_the_end;
        return a.end < b.end;
    }
    static bool ends_before(const RangeGroup& a, const RangeGroup& b) {
        return !a.to_the_end && b.ends_after(a.end);
    }
    static void update(RangeGroup& node) {
        node.farthest = &node;
        for (const RangeGroup* child : {node.left, node.right}) {
            if (child && ends_before(*node.farthest, *child->farthest)) {
                node.farthest = child->farthest;
            }
        }
    }
    static RangeGroup* find(RangeGroup* node, const RangeGroup& wanted) {
        while (node) {
            if (before(wanted, *node)) {
                node = node->left;
            } else if (before(*node, wanted)) {
                node = node->right;
            } else {
                return node;
            }
        }
        return nullptr;
    }
    // Cuts a subtree into what comes before `at` and the rest.
    static std::pair<RangeGroup*, RangeGroup*> split(RangeGroup* node, const RangeGroup& at) {
        if (!node) return {nullptr, nullptr};
        if (before(*node, at)) {
            const auto [low, high] = split(node->right, at);
            node->right = low;
            update(*node);
            return {node, high};
        }
        const auto [low, high] = split(node->left, at);
        node->left = high;
        update(*node);
        return {low, node};
    }
    static RangeGroup* merge(RangeGroup* low, RangeGroup* high) {
        if (!low) return high;
        if (!high) return low;
        if (low->priority >= high->priority) {
            low->right = merge(low->right, high);
            update(*low);
            return low;
        }
        high->left = merge(low, high->left);
        update(*high);
        return high;
    }
    static RangeGroup* insert(RangeGroup* root, RangeGroup& fresh) {
        if (!root || fresh.priority > root->priority) {
            std::tie(fresh.left, fresh.right) = split(root, fresh);
            update(fresh);
            return &fresh;
        }
        RangeGroup*& side = before(fresh, *root) ? root->left : root->right;
        side = insert(side, fresh);
        update(*root);
        return root;
    }
    static std::size_t height(const RangeGroup* root) {
        return root ? 1 + std::max(height(root->left), height(root->right)) : 0;
    }
    static RangeGroup* remove(RangeGroup* root, RangeGroup& gone) {
        SLUICE_CHECK(root != nullptr);
        if (root == &gone) return merge(gone.left, gone.right);
        RangeGroup*& side = before(gone, *root) ? root->left : root->right;
        side = remove(side, gone);
        update(*root);
        return root;
    }
};

WatcherIndex::WatcherIndex(std::uint64_t seed) : buckets_(kBucketsMin), random_(seed) {}

WatcherIndex::~WatcherIndex() {
    // Every watcher holds its group, and the streams are gone.
    SLUICE_CHECK(key_count_ == 0 && range_count_ == 0);
}

WatchGroup* WatcherIndex::find_key(std::string_view key) const {
    if (key_count_ == 0) return nullptr;
    KeyGroup* group = buckets_[hash_key(key) & (buckets_.size() - 1)];
    while (group && group->key() != key) group = group->next_in_bucket;
    return group;
}

void WatcherIndex::grow_buckets() {
    std::vector<KeyGroup*> old(buckets_.size() * 2);
    old.swap(buckets_);
    for (KeyGroup* group : old) {
        while (group) {
            KeyGroup*& bucket = buckets_[hash_key(group->key()) & (buckets_.size() - 1)];
            KeyGroup* next = std::exchange(group->next_in_bucket, bucket);
            bucket = group;
            group = next;
        }
    }
}

WatchGroup& WatcherIndex::add_key(std::string_view key) {
    if (key_count_ >= buckets_.size()) grow_buckets();
    KeyGroup* group = KeyGroup::make(key);
    KeyGroup*& bucket = buckets_[hash_key(key) & (buckets_.size() - 1)];
    group->next_in_bucket = std::exchange(bucket, group);
    ++key_count_;
    return *group;
}

WatchGroup& WatcherIndex::acquire(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) {
        WatchGroup* group = find_key(key);
        if (!group) group = &add_key(key);
        ++group->watchers;
        return *group;
    }
    RangeGroup wanted;
    wanted.begin = key;
    wanted.to_the_end = range_end == kToTheEnd;
    if (!wanted.to_the_end) wanted.end = range_end;
    RangeGroup* group = Tree::find(ranges_, wanted);
    if (!group) {
        group = new RangeGroup;
        group->is_range = true;
        group->begin = std::move(wanted.begin);
        group->end = std::move(wanted.end);
        group->to_the_end = wanted.to_the_end;
        group->priority = next_random(random_);
        ranges_ = Tree::insert(ranges_, *group);
        ++range_count_;
    }
    ++group->watchers;
    return *group;
}

void WatcherIndex::release(WatchGroup& group) {
    SLUICE_ASSERT(group.watchers > 0);
    if (--group.watchers > 0) return;
    SLUICE_ASSERT(group.synced.alone() && group.mark == 0);
    if (group.is_range) {
        auto& range = static_cast<RangeGroup&>(group);
        ranges_ = Tree::remove(ranges_, range);
        --range_count_;
        delete &range;
        return;
    }
    auto& single = static_cast<KeyGroup&>(group);
    KeyGroup** place = &buckets_[hash_key(single.key()) & (buckets_.size() - 1)];
    while (*place != &single) place = &(*place)->next_in_bucket;
    *place = single.next_in_bucket;
    --key_count_;
    KeyGroup::free(&single);
}

std::size_t WatcherIndex::height() const {
    return Tree::height(ranges_);
}

std::string_view WatcherIndex::key_of(const WatchGroup& group) {
    return group.is_range ? std::string_view(static_cast<const RangeGroup&>(group).begin)
                          : static_cast<const KeyGroup&>(group).key();
}

std::string_view WatcherIndex::range_end_of(const WatchGroup& group) {
    if (!group.is_range) return {};
    const auto& range = static_cast<const RangeGroup&>(group);
    return range.to_the_end ? kToTheEnd : std::string_view(range.end);
}

}  // namespace sluice::etcd
