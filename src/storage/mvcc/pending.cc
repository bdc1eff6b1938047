#include "storage/mvcc/pending.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace sluice::storage {
namespace {

constexpr std::size_t kTableFirst = 256;
constexpr std::size_t kTableKept = 64u << 10;

}  // namespace

char* Arena::allocate(std::size_t bytes) {
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size) {
        ++block_;
        used_ = 0;
    }
    if (block_ == blocks_.size()) {
        const std::size_t size = std::max(bytes, kBlockBytes);
        blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
        used_ = 0;
    }
    char* out = blocks_[block_].data.get() + used_;
    used_ += bytes;
    SLUICE_ASSERT(used_ <= blocks_[block_].size);
    return out;
}

std::string_view Arena::copy(std::string_view bytes) {
    char* out = allocate(bytes.size());
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    return {out, bytes.size()};
}

void Arena::clear() noexcept {
    // Blocks made for one huge value go; the ordinary ones stay.
    std::erase_if(blocks_, [](const Block& block) { return block.size > kBlockBytes; });
    if (blocks_.size() > kBlocksKept) blocks_.resize(kBlocksKept);
    block_ = 0;
    used_ = 0;
}

std::size_t Arena::memory_bytes() const noexcept {
    std::size_t sum = 0;
    for (const Block& block : blocks_) sum += block.size;
    return sum;
}

std::size_t Pending::slot_of(std::size_t hash, std::string_view key) const noexcept {
    const std::size_t mask = table_.size() - 1;
    std::size_t at = hash & mask;
    while (table_[at] != 0) {
        const Entry& entry = entries_[table_[at] - 1];
        if (entry.hash == hash && entry.key == key) break;
        at = (at + 1) & mask;
    }
    return at;
}

Pending::Entry* Pending::find(std::size_t hash, std::string_view key) noexcept {
    if (entries_.empty()) return nullptr;
    const auto index = table_[slot_of(hash, key)];
    return index == 0 ? nullptr : &entries_[index - 1];
}

void Pending::grow() {
    table_.assign(table_.empty() ? kTableFirst : table_.size() * 2, 0);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        table_[slot_of(entries_[i].hash, entries_[i].key)] = static_cast<std::uint32_t>(i + 1);
    }
}

void Pending::set(std::size_t hash, std::string_view key, std::string_view record) {
    SLUICE_ASSERT(!record.empty());
    if ((entries_.size() + 1) * 2 > table_.size()) grow();
    auto& slot = table_[slot_of(hash, key)];
    if (slot != 0) {
        entries_[slot - 1].record = record;
        return;
    }
    entries_.push_back({hash, arena_.copy(key), record});
    slot = static_cast<std::uint32_t>(entries_.size());
    if (!in_order_) return;
    const auto where = std::lower_bound(
        sorted_.begin(), sorted_.end(), key,
        [this](std::uint32_t i, std::string_view wanted) { return entries_[i].key < wanted; });
    sorted_.insert(where, slot - 1);
}

void Pending::add_log(LogRef ref) {
    SLUICE_ASSERT(log_.empty() || log_.back().position < ref.position);
    log_.push_back(ref);
}

const Pending::LogRef* Pending::find_log(Position position) const noexcept {
    const auto it =
        std::lower_bound(log_.begin(), log_.end(), position,
                         [](const LogRef& ref, Position wanted) { return ref.position < wanted; });
    return it != log_.end() && it->position == position ? &*it : nullptr;
}

const std::vector<std::uint32_t>& Pending::sorted() const {
    if (in_order_) return sorted_;
    sorted_.resize(entries_.size());
    for (std::size_t i = 0; i < sorted_.size(); ++i) sorted_[i] = static_cast<std::uint32_t>(i);
    std::sort(sorted_.begin(), sorted_.end(), [this](std::uint32_t a, std::uint32_t b) {
        return entries_[a].key < entries_[b].key;
    });
    in_order_ = true;
    return sorted_;
}

void Pending::clear() {
    if (table_.size() > kTableKept) {
        // After an uncommonly large group everything goes, not only the table.
        // (Assigning {} would keep the capacity.)
        std::vector<std::uint32_t>().swap(table_);
        std::vector<Entry>().swap(entries_);
        std::vector<LogRef>().swap(log_);
        std::vector<std::uint32_t>().swap(sorted_);
    } else {
        std::fill(table_.begin(), table_.end(), 0);
        entries_.clear();
        log_.clear();
        sorted_.clear();
    }
    in_order_ = false;
    arena_.clear();
}

std::size_t Pending::memory_bytes() const noexcept {
    return arena_.memory_bytes() + table_.capacity() * sizeof(table_[0]) +
           entries_.capacity() * sizeof(Entry) + log_.capacity() * sizeof(LogRef) +
           sorted_.capacity() * sizeof(sorted_[0]);
}

}  // namespace sluice::storage
