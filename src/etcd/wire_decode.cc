#include <utility>

#include "etcd/errors.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;
using wire::Reader;
using wire::tag;
using wire::Type;

std::int64_t as_int64(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}
// Enums keep the low 32 bits of the varint, as in protobuf.
std::int32_t as_enum(std::uint64_t value) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

// etcdserverpb.Compare, only of the shape that CompareAndSwapView holds.
bool decode_compare(std::string_view bytes, CompareAndSwapView& out) {
    std::int32_t result = pb::Compare::EQUAL;
    std::int32_t target = pb::Compare::VERSION;
    std::string_view range_end;
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kVarint):
                result = as_enum(reader.varint());
                break;
            case tag(2, Type::kVarint):
                target = as_enum(reader.varint());
                break;
            case tag(3, Type::kBytes):
                out.key = reader.bytes();
                break;
            case tag(6, Type::kVarint):
                out.mod_revision = as_int64(reader.varint());
                break;
            case tag(64, Type::kBytes):
                range_end = reader.bytes();
                break;
            // Other members of the same oneof: which one counts is protobuf's business.
            case tag(4, Type::kVarint):
            case tag(5, Type::kVarint):
            case tag(7, Type::kBytes):
            case tag(8, Type::kVarint):
                return false;
            default:
                reader.skip();
        }
    }
    return reader.finished() && result == pb::Compare::EQUAL && target == pb::Compare::MOD &&
           range_end.empty();
}

// The only field of a RequestOp; 0 if there is not exactly one. Several would be merged.
std::uint32_t only_field(std::string_view bytes, std::string_view& content) {
    Reader reader(bytes);
    std::uint32_t found = 0;
    while (reader.next()) {
        if (found != 0 || (reader.raw_tag() & 7) != static_cast<std::uint32_t>(Type::kBytes)) {
            return 0;
        }
        found = reader.raw_tag() >> 3;
        content = reader.bytes();
    }
    return reader.finished() ? found : 0;
}

constexpr std::uint32_t kOpRange = 1;  // etcdserverpb.RequestOp
constexpr std::uint32_t kOpPut = 2;
constexpr std::uint32_t kOpDeleteRange = 3;

bool decode_success(std::string_view op, CompareAndSwapView& out) {
    std::string_view content;
    switch (only_field(op, content)) {
        case kOpPut:
            return decode(content, out.put.emplace());
        case kOpDeleteRange:
            return decode(content, out.delete_range.emplace());
        default:
            return false;
    }
}

bool decode_failure(std::string_view op, CompareAndSwapView& out) {
    std::string_view content;
    return only_field(op, content) == kOpRange && decode(content, out.otherwise.emplace());
}

bool decode_entry_header(std::string_view bytes, EntryView& out) {
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kVarint):
                out.id = reader.varint();
                break;
            case tag(2, Type::kBytes):
                out.username = reader.bytes();
                break;
            case tag(3, Type::kVarint):
                out.auth_revision = reader.varint();
                break;
            default:
                reader.skip();
        }
    }
    return reader.finished();
}

}  // namespace

bool decode(std::string_view bytes, PutView& out) {
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kBytes):
                out.key = reader.bytes();
                break;
            case tag(2, Type::kBytes):
                out.value = reader.bytes();
                break;
            case tag(3, Type::kVarint):
                out.lease = as_int64(reader.varint());
                break;
            case tag(4, Type::kVarint):
                out.prev_kv = reader.varint() != 0;
                break;
            case tag(5, Type::kVarint):
                out.ignore_value = reader.varint() != 0;
                break;
            case tag(6, Type::kVarint):
                out.ignore_lease = reader.varint() != 0;
                break;
            default:
                reader.skip();
        }
    }
    return reader.finished();
}

bool decode(std::string_view bytes, RangeView& out) {
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kBytes):
                out.key = reader.bytes();
                break;
            case tag(2, Type::kBytes):
                out.range_end = reader.bytes();
                break;
            case tag(3, Type::kVarint):
                out.limit = as_int64(reader.varint());
                break;
            case tag(4, Type::kVarint):
                out.revision = as_int64(reader.varint());
                break;
            case tag(5, Type::kVarint):
                out.sort_order = as_enum(reader.varint());
                break;
            case tag(6, Type::kVarint):
                out.sort_target = as_enum(reader.varint());
                break;
            case tag(7, Type::kVarint):
                out.serializable = reader.varint() != 0;
                break;
            case tag(8, Type::kVarint):
                out.keys_only = reader.varint() != 0;
                break;
            case tag(9, Type::kVarint):
                out.count_only = reader.varint() != 0;
                break;
            case tag(10, Type::kVarint):
                out.min_mod_revision = as_int64(reader.varint());
                break;
            case tag(11, Type::kVarint):
                out.max_mod_revision = as_int64(reader.varint());
                break;
            case tag(12, Type::kVarint):
                out.min_create_revision = as_int64(reader.varint());
                break;
            case tag(13, Type::kVarint):
                out.max_create_revision = as_int64(reader.varint());
                break;
            default:
                reader.skip();
        }
    }
    return reader.finished();
}

bool decode(std::string_view bytes, DeleteRangeView& out) {
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kBytes):
                out.key = reader.bytes();
                break;
            case tag(2, Type::kBytes):
                out.range_end = reader.bytes();
                break;
            case tag(3, Type::kVarint):
                out.prev_kv = reader.varint() != 0;
                break;
            default:
                reader.skip();
        }
    }
    return reader.finished();
}

bool decode(std::string_view bytes, CompareAndSwapView& out) {
    std::optional<std::string_view> parts[3];  // compare, success, failure
    Reader reader(bytes);
    while (reader.next()) {
        switch (reader.raw_tag()) {
            case tag(1, Type::kBytes):
            case tag(2, Type::kBytes):
            case tag(3, Type::kBytes): {
                auto& part = parts[(reader.raw_tag() >> 3) - 1];
                if (part) return false;
                part = reader.bytes();
                break;
            }
            default:
                reader.skip();
        }
    }
    if (!reader.finished() || !parts[0] || !parts[1]) return false;
    return decode_compare(*parts[0], out) && decode_success(*parts[1], out) &&
           (!parts[2] || decode_failure(*parts[2], out));
}

bool decode(std::string_view payload, EntryView& out) {
    bool has_header = false;
    bool has_request = false;
    Reader reader(payload);
    while (reader.next()) {
        const std::uint32_t field = reader.raw_tag() >> 3;
        if (reader.is(1, Type::kBytes)) {
            if (std::exchange(has_header, true)) return false;
            if (!decode_entry_header(reader.bytes(), out)) return false;
        } else if (reader.is(field, Type::kBytes) &&
                   field >= static_cast<std::uint32_t>(EntryKind::kPut) &&
                   field <= static_cast<std::uint32_t>(EntryKind::kAlarm)) {
            if (std::exchange(has_request, true)) return false;
            out.kind = static_cast<EntryKind>(field);
            out.request = reader.bytes();
        } else {
            return false;  // a kind that only protobuf knows
        }
    }
    return reader.finished() && has_request;
}

Status check(const PutView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    if (request.ignore_value && !request.value.empty()) return fail(errors::kValueProvided);
    if (request.ignore_lease && request.lease != 0) return fail(errors::kLeaseProvided);
    return {};
}

Status check(const RangeView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    if (!pb::RangeRequest::SortOrder_IsValid(request.sort_order) ||
        !pb::RangeRequest::SortTarget_IsValid(request.sort_target)) {
        return fail(errors::kInvalidSortOption);
    }
    return {};
}

Status check(const DeleteRangeView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    return {};
}

Status check(const CompareAndSwapView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    if (request.put) SLUICE_TRY(check(*request.put));
    if (request.delete_range) SLUICE_TRY(check(*request.delete_range));
    if (request.otherwise) SLUICE_TRY(check(*request.otherwise));
    return {};
}

}  // namespace sluice::etcd
