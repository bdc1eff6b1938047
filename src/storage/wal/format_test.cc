#include "storage/wal/format.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>

namespace sluice::storage::wal {
namespace {

constexpr SegmentHeader kHeader{.session = 3,
                                .sequence = 7,
                                .segment_bytes = 1 << 20,
                                .first_group = 40,
                                .previous_end = 8192,
                                .next_index = 90,
                                .previous_term = 2};

std::optional<SegmentHeader> coded(const SegmentHeader& header) {
    std::array<std::byte, kBlockBytes> block;
    encode_segment_header(header, block);
    return decode_segment_header(block);
}

TEST(SegmentHeader, IsReadAsWritten) {
    EXPECT_EQ(coded(kHeader), kHeader);
}

// An index of 0 stopped the process in an assertion instead of being reported as damage.
TEST(SegmentHeader, WithNumbersThatNoWriterCountsToIsUnreadable) {
    const std::function<void(SegmentHeader&)> edits[] = {
        [](SegmentHeader& h) { h.next_index = 0; },
        [](SegmentHeader& h) { h.next_index = UINT64_MAX; },
        [](SegmentHeader& h) { h.first_group = UINT64_MAX; },
        [](SegmentHeader& h) { h.session = UINT32_MAX; },
    };
    for (const auto& edit : edits) {
        SegmentHeader header = kHeader;
        edit(header);
        EXPECT_FALSE(coded(header).has_value());
    }
}

TEST(RecordHeader, WithNumbersThatNoWriterCountsToIsNoRecord) {
    std::array<std::byte, kRecordHeaderBytes> bytes;
    const RecordHeader header{.group = 5, .session = 2, .type = RecordType::kSession, .last = true};
    seal_record(bytes, header, 1);
    ASSERT_TRUE(decode_record_header(bytes).has_value());
    RecordHeader late = header;
    late.session = UINT32_MAX;
    seal_record(bytes, late, 1);
    EXPECT_FALSE(decode_record_header(bytes).has_value());
    late = header;
    late.group = UINT64_MAX;
    seal_record(bytes, late, 1);
    EXPECT_FALSE(decode_record_header(bytes).has_value());
}

// Entries up to UINT64_MAX and on from 0 looked like one run that ends before it begins.
TEST(Entry, WithAnIndexThatNoWriterCountsToIsMalformed) {
    for (const std::uint64_t index : {std::uint64_t{0}, UINT64_MAX}) {
        std::array<std::byte, kEntryHeaderBytes> bytes;
        encode_entry_header({.term = 1, .index = 5, .type = EntryType::kNormal}, bytes);
        ASSERT_TRUE(decode_entry(bytes).has_value());
        encode_entry_header({.term = 1, .index = index, .type = EntryType::kNormal}, bytes);
        EXPECT_FALSE(decode_entry(bytes).has_value()) << index;
    }
}

}  // namespace
}  // namespace sluice::storage::wal
