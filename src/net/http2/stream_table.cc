#include "net/http2/stream_table.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace sluice::http2 {
namespace {
constexpr std::uint32_t kCapacityMin = 4;
}

void StreamTable::rehash(std::uint32_t capacity) {
    auto old = std::move(streams_);
    const std::uint32_t old_capacity = old == nullptr ? 0 : mask_ + 1;
    streams_ = std::make_unique<Stream[]>(capacity);
    mask_ = capacity - 1;
    for (std::uint32_t i = 0; i < old_capacity; ++i) {
        if (old[i].id == 0) continue;
        std::uint32_t place = old[i].id / 2;
        while (streams_[place & mask_].id != 0) ++place;
        streams_[place & mask_] = std::move(old[i]);
    }
}

Stream& StreamTable::insert(std::uint32_t id) {
    SLUICE_ASSERT(id != 0 && find(id) == nullptr);
    if ((count_ + 1) * 4 > capacity() * 3) rehash(capacity() == 0 ? kCapacityMin : capacity() * 2);
    std::uint32_t place = id / 2;
    while (streams_[place & mask_].id != 0) ++place;
    ++count_;
    Stream& stream = streams_[place & mask_];
    stream.id = id;
    return stream;
}

// Linear probing without tombstones: later records of the same run move up into the hole.
void StreamTable::erase(Stream& stream) noexcept {
    SLUICE_ASSERT(count_ > 0 && stream.id != 0);
    auto hole = static_cast<std::uint32_t>(&stream - streams_.get());
    stream = Stream{};
    --count_;
    for (std::uint32_t i = hole + 1;; ++i) {
        Stream& next = streams_[i & mask_];
        if (next.id == 0) break;
        const std::uint32_t home = (next.id / 2) & mask_;
        // May `next` stand in the hole: is its home not cyclically within (hole, i]?
        if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
        streams_[hole & mask_] = std::move(next);
        next = Stream{};
        hole = i;
    }
}

std::vector<std::uint32_t> StreamTable::ids() const {
    std::vector<std::uint32_t> ids;
    ids.reserve(count_);
    for (std::uint32_t i = 0; i < capacity(); ++i)
        if (streams_[i].id != 0) ids.push_back(streams_[i].id);
    return ids;
}

void StreamTable::trim() noexcept {
    if (count_ == 0) {
        streams_.reset();
    } else {
        const std::uint32_t enough = std::max(kCapacityMin, std::bit_ceil(count_ * 2));
        if (enough * 2 < capacity()) rehash(enough);
    }
}

}  // namespace sluice::http2
