#include "storage/wal/format.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/byte_order.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"

namespace sluice::storage::wal {
namespace {

constexpr std::string_view kMagic = "SLUICEWL";
constexpr std::size_t kHeaderCrcAt = 64;
constexpr std::uint32_t kPayloadBytesMax = limits::kWalEntryBytesMax + kEntryHeaderBytes;
// Groups, indexes and sessions are counted up by one and never get here: whoever adds to a number
// that was read need not think of overflow.
constexpr std::uint64_t kNumberEnd = std::uint64_t{1} << 62;
constexpr std::uint32_t kSessionEnd = std::uint32_t{1} << 31;

std::uint32_t record_seed(std::uint64_t sequence) {
    std::array<std::byte, 8> bytes;
    store_le64(bytes.data(), sequence);
    return crc32c::extend(0, bytes);
}

bool is_record_type(std::uint8_t type) {
    return type >= static_cast<std::uint8_t>(RecordType::kEntry) &&
           type <= static_cast<std::uint8_t>(RecordType::kSession);
}

void put64(std::string& out, std::uint64_t value) {
    std::array<char, 8> bytes;
    store_le64(bytes.data(), value);
    out.append(bytes.data(), bytes.size());
}

// Takes fixed-width integers off the front of a payload.
class Fields {
  public:
    explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::uint64_t take64() {
        if (bytes_.size() < 8) {
            good_ = false;
            return 0;
        }
        const std::uint64_t value = load_le64(bytes_.data());
        bytes_ = bytes_.subspan(8);
        return value;
    }
    bool finished() const { return good_ && bytes_.empty(); }
    bool good() const { return good_; }

  private:
    std::span<const std::byte> bytes_;
    bool good_ = true;
};

}  // namespace

void encode_segment_header(const SegmentHeader& header, std::span<std::byte> block) {
    SLUICE_CHECK(block.size() == kBlockBytes);
    std::ranges::fill(block, std::byte{0});
    std::byte* to = block.data();
    std::memcpy(to, kMagic.data(), kMagic.size());
    store_le32(to + 8, kFormatVersion);
    store_le32(to + 12, header.session);
    store_le64(to + 16, header.sequence);
    store_le64(to + 24, header.segment_bytes);
    store_le64(to + 32, header.first_group);
    store_le64(to + 40, header.previous_end);
    store_le64(to + 48, header.next_index);
    store_le64(to + 56, header.previous_term);
    store_le32(to + kHeaderCrcAt, crc32c::extend(0, block.first(kHeaderCrcAt)));
}

std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> block) {
    if (claimed_version(block) != kFormatVersion || block.size() < kBlockBytes) return std::nullopt;
    const std::byte* from = block.data();
    if (load_le32(from + kHeaderCrcAt) != crc32c::extend(0, block.first(kHeaderCrcAt))) {
        return std::nullopt;
    }
    const SegmentHeader header{.session = load_le32(from + 12),
                               .sequence = load_le64(from + 16),
                               .segment_bytes = load_le64(from + 24),
                               .first_group = load_le64(from + 32),
                               .previous_end = load_le64(from + 40),
                               .next_index = load_le64(from + 48),
                               .previous_term = load_le64(from + 56)};
    const bool plausible = header.session < kSessionEnd && header.first_group < kNumberEnd &&
                           header.next_index > 0 && header.next_index < kNumberEnd;
    if (!plausible) return std::nullopt;
    return header;
}

std::optional<std::uint32_t> claimed_version(std::span<const std::byte> block) {
    if (block.size() < 12 || std::memcmp(block.data(), kMagic.data(), kMagic.size()) != 0) {
        return std::nullopt;
    }
    return load_le32(block.data() + 8);
}

void seal_record(std::span<std::byte> record, RecordHeader header, std::uint64_t sequence) {
    SLUICE_CHECK(record.size() == kRecordHeaderBytes + header.payload_bytes);
    SLUICE_CHECK(header.payload_bytes <= kPayloadBytesMax);
    std::byte* to = record.data();
    store_le32(to + 4, header.payload_bytes);
    store_le64(to + 8, header.group);
    store_le32(to + 16, header.session);
    to[20] = static_cast<std::byte>(header.type);
    to[21] = static_cast<std::byte>(header.last ? 1 : 0);
    store_le16(to + 22, 0);
    store_le32(to, crc32c::extend(record_seed(sequence), record.subspan(4)));
}

std::optional<RecordHeader> decode_record_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
    const std::byte* from = bytes.data();
    const auto type = std::to_integer<std::uint8_t>(from[20]);
    const auto flags = std::to_integer<std::uint8_t>(from[21]);
    const std::uint32_t payload_bytes = load_le32(from + 4);
    if (!is_record_type(type) || flags > 1 || load_le16(from + 22) != 0 ||
        payload_bytes > kPayloadBytesMax || load_le64(from + 8) >= kNumberEnd ||
        load_le32(from + 16) >= kSessionEnd) {
        return std::nullopt;
    }
    return RecordHeader{.crc = load_le32(from),
                        .payload_bytes = payload_bytes,
                        .group = load_le64(from + 8),
                        .session = load_le32(from + 16),
                        .type = static_cast<RecordType>(type),
                        .last = flags == 1};
}

bool record_crc_matches(std::span<const std::byte> record, const RecordHeader& header,
                        std::uint64_t sequence) {
    SLUICE_CHECK(record.size() == kRecordHeaderBytes + header.payload_bytes);
    return header.crc == crc32c::extend(record_seed(sequence), record.subspan(4));
}

void encode_entry_header(const LogEntry& entry, std::span<std::byte> out) {
    SLUICE_CHECK(out.size() == kEntryHeaderBytes);
    store_le64(out.data(), entry.term);
    store_le64(out.data() + 8, entry.index);
    store_le64(out.data() + 16, static_cast<std::uint64_t>(entry.type));
}

std::optional<LogEntry> decode_entry(std::span<const std::byte> payload) {
    if (payload.size() < kEntryHeaderBytes) return std::nullopt;
    const std::uint64_t type = load_le64(payload.data() + 16);
    if (type > static_cast<std::uint64_t>(EntryType::kConfChangeV2)) return std::nullopt;
    const std::uint64_t index = load_le64(payload.data() + 8);
    if (index == 0 || index >= kNumberEnd) return std::nullopt;
    const auto body = payload.subspan(kEntryHeaderBytes);
    return LogEntry{.term = load_le64(payload.data()),
                    .index = index,
                    .type = static_cast<EntryType>(type),
                    .head = {},
                    .body = {reinterpret_cast<const char*>(body.data()), body.size()}};
}

std::string encode_hard_state(const HardState& state) {
    std::string out;
    put64(out, state.term);
    put64(out, state.vote);
    put64(out, state.commit);
    return out;
}

std::optional<HardState> decode_hard_state(std::span<const std::byte> payload) {
    Fields fields(payload);
    HardState state;
    state.term = fields.take64();
    state.vote = fields.take64();
    state.commit = fields.take64();
    if (!fields.finished()) return std::nullopt;
    return state;
}

std::string encode_configuration(const Configuration& configuration) {
    std::string out;
    for (const auto* part : {&configuration.voters, &configuration.learners,
                             &configuration.voters_outgoing, &configuration.learners_next}) {
        SLUICE_CHECK(part->size() <= limits::kConfigurationMembersMax);
        put64(out, part->size());
        for (const std::uint64_t id : *part) put64(out, id);
    }
    put64(out, configuration.auto_leave ? 1 : 0);
    return out;
}

std::optional<Configuration> decode_configuration(std::span<const std::byte> payload) {
    Fields fields(payload);
    Configuration configuration;
    for (auto* part : {&configuration.voters, &configuration.learners,
                       &configuration.voters_outgoing, &configuration.learners_next}) {
        const std::uint64_t count = fields.take64();
        if (count > limits::kConfigurationMembersMax) return std::nullopt;
        for (std::uint64_t i = 0; i < count && fields.good(); ++i) part->push_back(fields.take64());
    }
    const std::uint64_t auto_leave = fields.take64();
    if (!fields.finished() || auto_leave > 1) return std::nullopt;
    configuration.auto_leave = auto_leave == 1;
    return configuration;
}

std::string encode_snapshot(const SnapshotMark& mark) {
    std::string out;
    put64(out, mark.index);
    put64(out, mark.term);
    return out;
}

std::optional<SnapshotMark> decode_snapshot(std::span<const std::byte> payload) {
    Fields fields(payload);
    SnapshotMark mark;
    mark.index = fields.take64();
    mark.term = fields.take64();
    if (!fields.finished()) return std::nullopt;
    return mark;
}

std::string encode_index(std::uint64_t index) {
    std::string out;
    put64(out, index);
    return out;
}

std::optional<std::uint64_t> decode_index(std::span<const std::byte> payload) {
    Fields fields(payload);
    const std::uint64_t index = fields.take64();
    if (!fields.finished()) return std::nullopt;
    return index;
}

}  // namespace sluice::storage::wal
