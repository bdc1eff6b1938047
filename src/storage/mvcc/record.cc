#include "storage/mvcc/record.h"

#include <cstring>
#include <limits>

#include "base/byte_order.h"
#include "base/check.h"

namespace sluice::storage {
namespace {

constexpr char kRecordTag = '\xA5';
constexpr char kLogTag = '\xB5';
constexpr char kStateTag = '\xD5';

constexpr unsigned char kTombstone = 1;
constexpr unsigned char kHasLease = 2;
constexpr unsigned char kHasSub = 4;
constexpr unsigned kJumpCountShift = 4;

constexpr unsigned char kDelete = 1;
constexpr unsigned char kHasPrevious = 2;

char* put_varint(char* out, std::uint64_t value) noexcept {
    while (value >= 0x80) {
        *out++ = static_cast<char>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<char>(value);
    return out;
}

// Reads from [at, end); a truncated or overlong varint makes `ok` false for good.
struct Decoder {
    const char* at;
    const char* end;
    bool ok = true;

    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && at != end; shift += 7) {
            const auto byte = static_cast<unsigned char>(*at++);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) return value;
        }
        ok = false;
        return 0;
    }
    std::uint64_t fixed64() noexcept {
        if (end - at < 8) {
            ok = false;
            return 0;
        }
        const auto value = load_le64(at);
        at += 8;
        return value;
    }
    // Written as its distance from a later one. Revisions are not negative.
    Revision revision_before(Revision later) noexcept {
        const std::uint64_t distance = varint();
        if (distance <= static_cast<std::uint64_t>(later)) {
            return later - static_cast<Revision>(distance);
        }
        ok = false;
        return 0;
    }
    Revision revision() noexcept {
        const std::uint64_t value = varint();
        if (value > std::numeric_limits<Revision>::max()) ok = false;
        return static_cast<Revision>(value);
    }
    std::string_view rest() const noexcept { return {at, static_cast<std::size_t>(end - at)}; }
};

}  // namespace

bool parse_record_position(std::string_view bytes, Position& position, bool& tombstone) noexcept {
    if (bytes.size() < 3 || bytes[0] != kRecordTag) return false;
    const auto flags = static_cast<unsigned char>(bytes[1]);
    Decoder in{bytes.data() + 2, bytes.data() + bytes.size()};
    position.main = in.revision();
    position.sub = (flags & kHasSub) != 0 ? static_cast<std::uint32_t>(in.varint()) : 0;
    tombstone = (flags & kTombstone) != 0;
    return in.ok;
}

bool parse_record(std::string_view bytes, RecordView& out) noexcept {
    if (bytes.size() < 3 || bytes[0] != kRecordTag) return false;
    const auto flags = static_cast<unsigned char>(bytes[1]);
    Decoder in{bytes.data() + 2, bytes.data() + bytes.size()};
    out.position.main = in.revision();
    out.position.sub = (flags & kHasSub) != 0 ? static_cast<std::uint32_t>(in.varint()) : 0;
    out.depth = in.varint();
    out.jumps = flags >> kJumpCountShift;
    if (!in.ok || out.jumps > kJumpLevels) return false;
    Revision main = out.position.main;
    for (unsigned i = 0; i < out.jumps; ++i) {
        main = in.revision_before(main);
        out.jump[i] = {main, static_cast<std::uint32_t>(in.varint())};
    }
    out.tombstone = (flags & kTombstone) != 0;
    out.create_revision = 0;
    out.version = 0;
    out.lease = 0;
    out.value = {};
    if (out.tombstone) return in.ok && in.at == in.end;
    out.create_revision = in.revision_before(out.position.main);
    out.version = static_cast<std::int64_t>(in.varint());
    if ((flags & kHasLease) != 0) out.lease = static_cast<LeaseId>(in.fixed64());
    out.value = in.rest();
    return in.ok;
}

std::size_t encode_record(const NewRecord& record, const RecordView* previous, char* out) noexcept {
    SLUICE_ASSERT(previous == nullptr || previous->position < record.position);
    SLUICE_ASSERT(record.tombstone || record.version >= 1);
    const std::uint64_t depth = previous == nullptr ? 1 : previous->depth + 1;
    std::array<Position, kJumpLevels> jump;
    unsigned jumps = 0;
    for (unsigned level = 0; level < kJumpLevels && previous != nullptr; ++level) {
        const auto mask = (std::uint64_t{1} << (kJumpShift * (level + 1))) - 1;
        if ((previous->depth & mask) == 0) {
            jump[jumps++] = previous->position;
        } else if (level < previous->jumps) {
            jump[jumps++] = previous->jump[level];
        } else {
            break;  // no older version is that deep, so none is deeper
        }
    }
    unsigned flags = jumps << kJumpCountShift;
    if (record.tombstone) flags |= kTombstone;
    if (record.position.sub != 0) flags |= kHasSub;
    if (!record.tombstone && record.lease != 0) flags |= kHasLease;
    char* at = out;
    *at++ = kRecordTag;
    *at++ = static_cast<char>(flags);
    at = put_varint(at, static_cast<std::uint64_t>(record.position.main));
    if (record.position.sub != 0) at = put_varint(at, record.position.sub);
    at = put_varint(at, depth);
    Revision main = record.position.main;
    for (unsigned i = 0; i < jumps; ++i) {
        at = put_varint(at, static_cast<std::uint64_t>(main - jump[i].main));
        at = put_varint(at, jump[i].sub);
        main = jump[i].main;
    }
    if (!record.tombstone) {
        at = put_varint(at,
                        static_cast<std::uint64_t>(record.position.main - record.create_revision));
        at = put_varint(at, static_cast<std::uint64_t>(record.version));
        if (record.lease != 0) {
            store_le64(at, static_cast<std::uint64_t>(record.lease));
            at += 8;
        }
        SLUICE_ASSERT(static_cast<std::size_t>(at - out) <= kRecordHeadBytesMax);
        if (!record.value.empty()) std::memcpy(at, record.value.data(), record.value.size());
        at += record.value.size();
    }
    return static_cast<std::size_t>(at - out);
}

Position walk_target(const RecordView& record, Revision at) noexcept {
    SLUICE_ASSERT(record.position.main > at);
    for (unsigned level = record.jumps; level-- > 0;) {
        if (record.jump[level].main > at) return record.jump[level];
    }
    return record.position;
}

void encode_position(Position position, char out[kPositionKeyBytes]) noexcept {
    store_be64(out, static_cast<std::uint64_t>(position.main));
    store_be32(out + 8, position.sub);
}

bool parse_position(std::string_view key, Position& out) noexcept {
    if (key.size() != kPositionKeyBytes) return false;
    out.main = static_cast<Revision>(load_be64(key.data()));
    out.sub = load_be32(key.data() + 8);
    return true;
}

std::size_t encode_log_head(bool is_delete, bool has_previous, std::size_t key_bytes,
                            char out[12]) noexcept {
    out[0] = kLogTag;
    out[1] = static_cast<char>((is_delete ? kDelete : 0) | (has_previous ? kHasPrevious : 0));
    return static_cast<std::size_t>(put_varint(out + 2, key_bytes) - out);
}

bool parse_log_entry(std::string_view bytes, LogEntryView& out) noexcept {
    if (bytes.size() < 3 || bytes[0] != kLogTag) return false;
    const auto flags = static_cast<unsigned char>(bytes[1]);
    Decoder in{bytes.data() + 2, bytes.data() + bytes.size()};
    const auto key_bytes = in.varint();
    const auto rest = in.rest();
    if (!in.ok || key_bytes > rest.size()) return false;
    out.is_delete = (flags & kDelete) != 0;
    out.key = rest.substr(0, key_bytes);
    out.previous = rest.substr(key_bytes);
    return out.previous.empty() == ((flags & kHasPrevious) == 0);
}

void encode_lease_prefix(LeaseId lease, char out[kLeaseKeyPrefixBytes]) noexcept {
    out[0] = kLeaseIndexPrefix;
    store_be64(out + 1, static_cast<std::uint64_t>(lease));
}

void encode_state(const StoreState& state, char out[kStateBytes]) noexcept {
    out[0] = kStateTag;
    store_le64(out + 1, state.applied_index);
    store_le64(out + 9, state.applied_term);
    store_le64(out + 17, static_cast<std::uint64_t>(state.revision));
    store_le64(out + 25, static_cast<std::uint64_t>(state.compacted));
    store_le64(out + 33, static_cast<std::uint64_t>(state.keys));
}

bool parse_state(std::string_view bytes, StoreState& out) noexcept {
    if (bytes.size() != kStateBytes || bytes[0] != kStateTag) return false;
    out.applied_index = load_le64(bytes.data() + 1);
    out.applied_term = load_le64(bytes.data() + 9);
    out.revision = static_cast<Revision>(load_le64(bytes.data() + 17));
    out.compacted = static_cast<Revision>(load_le64(bytes.data() + 25));
    out.keys = static_cast<std::int64_t>(load_le64(bytes.data() + 33));
    return out.revision >= 1 && out.keys >= 0;
}

}  // namespace sluice::storage
