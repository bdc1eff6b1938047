#include "storage/wal/staging_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace sluice::storage::wal {
namespace {

constexpr std::size_t kFirstBytes = 64 << 10;
constexpr std::size_t kKeptBytes = 1 << 20;  // a larger buffer is given back

}  // namespace

void StagingBuffer::reset(std::uint64_t sequence, std::uint64_t group, std::uint32_t session) {
    if (capacity_ > kKeptBytes) {
        memory_.reset();
        capacity_ = 0;
    }
    sequence_ = sequence;
    header_ = {.group = group, .session = session};
    used_ = 0;
    open_ = false;
}

void StagingBuffer::reserve(std::size_t bytes) {
    if (bytes <= capacity_) return;
    const std::size_t wanted = align_up(std::max({bytes, 2 * capacity_, kFirstBytes}), kBlockBytes);
    std::unique_ptr<std::byte[], Free> larger(new (std::align_val_t{kBlockBytes})
                                                  std::byte[wanted]);
    if (used_ > 0) std::memcpy(larger.get(), memory_.get(), used_);
    memory_ = std::move(larger);
    capacity_ = wanted;
}

void StagingBuffer::seal(bool last) {
    if (!open_) return;
    header_.last = last;
    const std::size_t bytes = kRecordHeaderBytes + header_.payload_bytes;
    seal_record({memory_.get() + record_at_, bytes}, header_, sequence_);
    open_ = false;
}

std::span<std::byte> StagingBuffer::begin_record(RecordType type, std::size_t payload_bytes) {
    seal(/*last=*/false);
    header_.type = type;
    header_.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
    SLUICE_CHECK(header_.payload_bytes == payload_bytes);
    const std::size_t end = used_ + header_.extent();
    // The last record is padded to a whole block by finish().
    reserve(align_up(end, kBlockBytes));
    record_at_ = used_;
    std::memset(memory_.get() + end - kRecordAlign, 0, kRecordAlign);
    used_ = end;
    open_ = true;
    return {memory_.get() + record_at_ + kRecordHeaderBytes, payload_bytes};
}

void StagingBuffer::add_record(RecordType type, std::string_view payload) {
    const auto to = begin_record(type, payload.size());
    if (!payload.empty()) std::memcpy(to.data(), payload.data(), payload.size());
}

std::span<const std::byte> StagingBuffer::finish() {
    SLUICE_CHECK(open_);
    seal(/*last=*/true);
    const std::size_t end = align_up(used_, kBlockBytes);
    SLUICE_CHECK(end <= capacity_);
    std::memset(memory_.get() + used_, 0, end - used_);
    return {memory_.get(), end};
}

}  // namespace sluice::storage::wal
