#include "storage/wal/segment_reader.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::storage::wal {
namespace {

constexpr std::size_t kWindowBytes = 1 << 20;

}  // namespace

SegmentReader::SegmentReader(io::File& file, std::uint64_t sequence, std::uint64_t segment_bytes)
    : file_(file), sequence_(sequence), segment_bytes_(segment_bytes) {
    SLUICE_CHECK(segment_bytes_ >= kBlockBytes);
}

Result<std::span<const std::byte>> SegmentReader::view(std::uint64_t offset, std::size_t bytes) {
    const bool inside =
        offset >= window_offset_ && offset + bytes <= window_offset_ + window_bytes_;
    if (!inside) {
        const std::size_t wanted =
            std::max(bytes, std::min<std::size_t>(kWindowBytes, segment_bytes_));
        if (window_.size() < wanted) window_.resize(wanted);
        window_bytes_ = 0;
        SLUICE_TRY_ASSIGN(window_bytes_, file_.pread(std::span(window_).first(wanted), offset));
        window_offset_ = offset;
    }
    const std::size_t skip = offset - window_offset_;
    return std::span<const std::byte>(window_).subspan(skip, std::min(bytes, window_bytes_ - skip));
}

Result<std::optional<SegmentReader::Record>> SegmentReader::record_at(std::uint64_t offset) {
    SLUICE_ASSERT(offset % kRecordAlign == 0);
    if (offset + kRecordHeaderBytes > segment_bytes_) return std::nullopt;
    SLUICE_TRY_ASSIGN(const auto head, view(offset, kRecordHeaderBytes));
    const auto header = decode_record_header(head);
    if (!header || offset + kRecordHeaderBytes + header->payload_bytes > segment_bytes_) {
        return std::nullopt;
    }
    const std::size_t bytes = kRecordHeaderBytes + header->payload_bytes;
    SLUICE_TRY_ASSIGN(const auto record, view(offset, bytes));
    if (record.size() < bytes || !record_crc_matches(record, *header, sequence_)) {
        return std::nullopt;
    }
    return Record{*header, record.subspan(kRecordHeaderBytes)};
}

Result<bool> read_group(SegmentReader& reader, GroupCursor& at,
                        const std::function<Status(const SegmentReader::Record&)>& visit) {
    SLUICE_CHECK(at.offset % kBlockBytes == 0);
    std::uint64_t offset = at.offset;
    std::uint32_t session = at.session;
    for (bool first = true;; first = false) {
        SLUICE_TRY_ASSIGN(const auto record, reader.record_at(offset));
        if (!record || record->header.group != at.group) return false;
        const bool starts_session = first && record->header.type == RecordType::kSession;
        if (starts_session && record->header.session > session) session = record->header.session;
        if (record->header.session != session) return false;
        const RecordHeader header = record->header;
        SLUICE_TRY(visit(*record));
        offset += header.extent();
        if (header.last) break;
    }
    at = {.offset = align_up(offset, kBlockBytes), .group = at.group + 1, .session = session};
    return true;
}

Result<std::optional<std::uint64_t>> find_later_group(SegmentReader& reader, std::uint64_t offset,
                                                      std::uint64_t group) {
    SLUICE_CHECK(offset % kBlockBytes == 0);
    for (; offset < reader.segment_bytes(); offset += kBlockBytes) {
        SLUICE_TRY_ASSIGN(const auto head, reader.view(offset, kRecordHeaderBytes));
        const auto header = decode_record_header(head);
        if (!header || header->group <= group) continue;
        SLUICE_TRY_ASSIGN(const auto record, reader.record_at(offset));
        if (record) return offset;
    }
    return std::nullopt;
}

}  // namespace sluice::storage::wal
