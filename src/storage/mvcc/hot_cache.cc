#include "storage/mvcc/hot_cache.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.h"

namespace sluice::storage {
namespace {

constexpr std::size_t kSlotsFirst = 64;

}  // namespace

static_assert(sizeof(std::size_t) == 8, "the shard is the hash's upper six bits");

HotCache::HotCache(std::size_t bytes_max)
    : shard_bytes_max_(bytes_max / kShards), shards_(std::make_unique<Shard[]>(kShards)) {}

HotCache::~HotCache() {
    for (std::size_t i = 0; i < kShards; ++i) {
        for (const Slot& slot : shards_[i].slots) std::free(slot.entry);
    }
}

// The slot of the key, or the empty one where it would go. There is always an empty one.
std::size_t HotCache::Shard::locate(std::uint32_t tag, std::string_view key) const noexcept {
    SLUICE_ASSERT(used < slots.size());
    const std::size_t mask = slots.size() - 1;
    std::size_t at = tag & mask;
    while (slots[at].entry != nullptr && (slots[at].tag != tag || slots[at].entry->key() != key)) {
        at = (at + 1) & mask;
    }
    return at;
}

HotCache::Entry* HotCache::Shard::find(std::size_t hash, std::string_view key) noexcept {
    if (slots.empty()) return nullptr;
    Entry* entry = slots[locate(tag_of(hash), key)].entry;
    if (entry != nullptr) entry->referenced = true;
    return entry;
}

void HotCache::Shard::grow() {
    std::vector<Slot> old(slots.empty() ? kSlotsFirst : slots.size() * 2);
    old.swap(slots);
    const std::size_t mask = slots.size() - 1;
    for (const Slot& slot : old) {
        if (slot.entry == nullptr) continue;
        std::size_t at = slot.tag & mask;
        while (slots[at].entry != nullptr) at = (at + 1) & mask;
        slots[at] = slot;
    }
    hand = 0;
}

// Backward-shift deletion: what probed past the hole moves into it.
void HotCache::Shard::remove(std::size_t hole) noexcept {
    const std::size_t mask = slots.size() - 1;
    SLUICE_ASSERT(slots[hole].entry != nullptr && used > 0);
    bytes -= slots[hole].entry->footprint();
    std::free(slots[hole].entry);
    --used;
    for (std::size_t at = (hole + 1) & mask; slots[at].entry != nullptr; at = (at + 1) & mask) {
        const std::size_t home = slots[at].tag & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;  // the hole lies before its home
        slots[hole] = slots[at];
        hole = at;
    }
    slots[hole] = {};
}

void HotCache::Shard::evict_to(std::size_t bytes_max) noexcept {
    const std::size_t mask = slots.size() - 1;
    while (bytes > bytes_max) {
        SLUICE_ASSERT(used > 0);
        hand &= mask;
        Entry* entry = slots[hand].entry;
        if (entry == nullptr) {
            ++hand;
        } else if (entry->referenced) {
            entry->referenced = false;
            ++hand;
        } else {
            remove(hand);  // another entry may have moved here: look again
        }
    }
}

void HotCache::Shard::insert(std::size_t hash, std::string_view key, std::string_view record,
                             std::size_t bytes_max) {
    const std::size_t need = key.size() + record.size();
    if (slots.empty()) grow();
    std::size_t at = locate(tag_of(hash), key);
    Entry* entry = slots[at].entry;
    if (need > bytes_max / 8) {
        if (entry != nullptr) remove(at);
        return;
    }
    const bool fits = entry != nullptr && need <= entry->capacity && need * 2 >= entry->capacity;
    if (!fits) {
        if (entry != nullptr) remove(at);
        if ((used + 1) * 4 > slots.size() * 3) grow();
        const std::size_t capacity = (need + 15) & ~std::size_t{15};
        void* memory = std::malloc(sizeof(Entry) + capacity);
        if (memory == nullptr) return;
        entry = new (memory) Entry{};
        entry->capacity = static_cast<std::uint32_t>(capacity);
        entry->key_bytes = static_cast<std::uint32_t>(key.size());
        std::memcpy(entry->data(), key.data(), key.size());
        slots[locate(tag_of(hash), key)] = {tag_of(hash), entry};
        ++used;
        bytes += entry->footprint();
    }
    entry->record_bytes = static_cast<std::uint32_t>(record.size());
    std::memcpy(entry->data() + key.size(), record.data(), record.size());
    entry->referenced = true;
    evict_to(bytes_max);
}

void HotCache::add(std::size_t hash, std::string_view key, std::string_view record,
                   std::uint64_t epoch) {
    Shard& shard = shard_of(hash);
    std::lock_guard lock(shard.mutex);
    if (shard.epoch == epoch) shard.insert(hash, key, record, shard_bytes_max_);
}

void HotCache::update(std::size_t hash, std::string_view key, std::string_view record) {
    Shard& shard = shard_of(hash);
    std::lock_guard lock(shard.mutex);
    ++shard.epoch;
    shard.insert(hash, key, record, shard_bytes_max_);
}

std::size_t HotCache::bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
        std::lock_guard lock(shards_[i].mutex);
        sum += shards_[i].bytes + shards_[i].slots.size() * sizeof(Slot);
    }
    return sum;
}

std::uint64_t HotCache::hits() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
        std::lock_guard lock(shards_[i].mutex);
        sum += shards_[i].hits;
    }
    return sum;
}

std::uint64_t HotCache::misses() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
        std::lock_guard lock(shards_[i].mutex);
        sum += shards_[i].misses;
    }
    return sum;
}

}  // namespace sluice::storage
