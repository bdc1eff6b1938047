#include "net/http2/hpack_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace sluice::http2 {
namespace {

constexpr std::uint32_t kEntryOverhead = 32;  // RFC 7541 section 4.1
constexpr std::uint32_t kRecordsMin = 8;
constexpr std::uint32_t kTextBytesMin = 256;
static_assert(limits::kHpackTableBytes <= 32'768, "offsets are 16 bits");

}  // namespace

std::uint32_t HpackTable::entry_size(const Record& record) noexcept {
    const std::size_t name =
        record.id == HeaderId::kNone ? record.name_size : header_name(record.id).size();
    return static_cast<std::uint32_t>(name + record.value_size + kEntryOverhead);
}

HpackTable::Entry HpackTable::at(std::uint32_t age) const noexcept {
    SLUICE_ASSERT(age < count_);
    const Record& r = record(inserted_ - age);
    const char* bytes = text_.get() + r.offset;
    const std::string_view name =
        r.id == HeaderId::kNone ? std::string_view(bytes, r.name_size) : header_name(r.id);
    return {name, std::string_view(bytes + r.name_size, r.value_size), r.id, r.name_valid,
            r.value_valid};
}

void HpackTable::evict_oldest() noexcept {
    SLUICE_ASSERT(count_ > 0);
    const Record& r = record(inserted_ - count_ + 1);
    size_ -= entry_size(r);
    text_used_ = static_cast<std::uint16_t>(text_used_ - r.name_size - r.value_size);
    --count_;
    SLUICE_ASSERT(count_ > 0 || (size_ == 0 && text_used_ == 0));
}

void HpackTable::set_size_max(std::uint32_t size_max) noexcept {
    SLUICE_ASSERT(size_max <= limits::kHpackTableBytes);
    size_max_ = size_max;
    while (size_ > size_max_) evict_oldest();
}

void HpackTable::grow_records() {
    const std::uint32_t capacity = std::max(kRecordsMin, records_capacity_ * 2u);
    auto records = std::make_unique<Record[]>(capacity);
    for (std::uint32_t age = 0; age < count_; ++age) {
        const std::uint32_t number = inserted_ - age;
        records[number & (capacity - 1)] = record(number);
    }
    records_ = std::move(records);
    records_capacity_ = static_cast<std::uint16_t>(capacity);
}

// The live text is one run, or two when it wraps: [oldest, end of ring) and [0, write_). Then
// write_ stays below the oldest entry, so that the order of the offsets always tells the two cases
// apart.
bool HpackTable::find_text_room(std::uint32_t bytes, std::uint32_t& offset) const noexcept {
    if (count_ == 0) {
        offset = 0;
        return bytes <= text_capacity_;
    }
    const std::uint32_t oldest = record(inserted_ - count_ + 1).offset;
    const std::uint32_t newest = record(inserted_).offset;
    offset = write_;
    if (oldest <= newest) {
        if (write_ + bytes <= text_capacity_) return true;
        offset = 0;
        return bytes < oldest;
    }
    return write_ + bytes < oldest;
}

void HpackTable::relocate_text(std::uint32_t capacity) {
    auto text = capacity == 0 ? nullptr : std::make_unique_for_overwrite<char[]>(capacity);
    std::uint32_t write = 0;
    for (std::uint32_t age = count_; age-- > 0;) {
        Record& r = record(inserted_ - age);
        const std::uint32_t bytes = r.name_size + r.value_size;
        if (bytes > 0) std::memcpy(text.get() + write, text_.get() + r.offset, bytes);
        r.offset = static_cast<std::uint16_t>(write);
        write += bytes;
    }
    SLUICE_ASSERT(write == text_used_);
    text_ = std::move(text);
    text_capacity_ = static_cast<std::uint16_t>(capacity);
}

void HpackTable::insert(HeaderId id, std::string_view name, bool name_valid, std::string_view value,
                        bool value_valid) {
    SLUICE_ASSERT(id == HeaderId::kNone || header_name(id) == name);
    const std::size_t size = name.size() + value.size() + kEntryOverhead;
    while (count_ > 0 && size_ + size > size_max_) evict_oldest();
    if (size > size_max_) return;

    const std::size_t name_stored = id == HeaderId::kNone ? name.size() : 0;
    const auto bytes = static_cast<std::uint32_t>(name_stored + value.size());
    std::uint32_t offset = 0;
    if (!find_text_room(bytes, offset)) {
        relocate_text(std::max(kTextBytesMin, std::bit_ceil(text_used_ + bytes)));
        offset = text_used_;
    }
    SLUICE_ASSERT(offset + bytes <= text_capacity_);
    char* to = text_.get() + offset;
    if (name_stored > 0) std::memcpy(to, name.data(), name_stored);
    if (!value.empty()) std::memcpy(to + name_stored, value.data(), value.size());

    if (count_ == records_capacity_) grow_records();
    ++count_;
    record(++inserted_) = {.offset = static_cast<std::uint16_t>(offset),
                           .name_size = static_cast<std::uint16_t>(name_stored),
                           .value_size = static_cast<std::uint16_t>(value.size()),
                           .id = id,
                           .name_valid = name_valid,
                           .value_valid = value_valid};
    write_ = static_cast<std::uint16_t>(offset + bytes);
    text_used_ = static_cast<std::uint16_t>(text_used_ + bytes);
    size_ += static_cast<std::uint32_t>(size);
    SLUICE_ASSERT(size_ <= size_max_ && text_used_ <= text_capacity_);
}

void HpackTable::trim() {
    if (count_ == 0) {
        records_.reset();
        records_capacity_ = 0;
    }
    if (text_used_ == text_capacity_) return;
    relocate_text(text_used_);
    write_ = text_used_;
}

std::size_t HpackTable::memory_bytes() const noexcept {
    return records_capacity_ * sizeof(Record) + text_capacity_;
}

}  // namespace sluice::http2
