#include "base/check.h"
#include "etcd/wire_codec.h"

namespace sluice::etcd {
namespace {

using wire::bits;

// Grows the string by `size` bytes that write(char*) fills to the last one.
template <class Write>
void append(std::string& out, std::size_t size, Write&& write) {
    const std::size_t total = out.size() + size;
    // The size that libstdc++ 12 passes may be the capacity, so the string's own is used.
    out.resize_and_overwrite(total, [&, old = out.size()](char* begin, std::size_t) {
        [[maybe_unused]] const char* end = write(begin + old);
        SLUICE_ASSERT(end == begin + total);
        return total;
    });
}

// Field numbers of proto/etcdserverpb/kv.proto that several responses share.
constexpr std::uint32_t kHeader = 1;
constexpr std::uint32_t kPutPrevKv = 2;
constexpr std::uint32_t kRangeKvs = 2;
constexpr std::uint32_t kRangeCount = 4;
constexpr std::uint32_t kDeleted = 2;
constexpr std::uint32_t kDeletePrevKvs = 3;
constexpr std::uint32_t kTxnSucceeded = 2;
constexpr std::uint32_t kTxnResponses = 3;
constexpr std::uint32_t kOpRange = 1;  // ResponseOp
constexpr std::uint32_t kOpPut = 2;
constexpr std::uint32_t kOpDeleteRange = 3;

// A response of one optional pair and one number, without its header: what put, range and delete
// responses come down to.
struct Body {
    std::uint32_t kv_field = 0;
    const KeyValueView* kv = nullptr;
    std::uint32_t number_field = 0;  // 0: none
    std::int64_t number = 0;

    std::size_t size() const {
        std::size_t total = number_field == 0 ? 0 : wire::int_size(number_field, bits(number));
        if (kv) total += wire::nested_size(kv_field, wire::key_value_size(*kv));
        return total;
    }
    char* write(char* out) const {
        // Fields go out in the order of their numbers.
        if (number_field != 0 && number_field < kv_field) {
            out = wire::write_int(out, number_field, bits(number));
        }
        if (kv) {
            out = wire::write_nested_head(out, kv_field, wire::key_value_size(*kv));
            out = wire::write_key_value(out, *kv);
        }
        if (number_field > kv_field) out = wire::write_int(out, number_field, bits(number));
        return out;
    }
};

std::size_t header_size(const ResponseHead& head) {
    return wire::nested_size(kHeader, wire::head_size(head));
}
char* write_header(char* out, const ResponseHead& head) {
    return wire::write_head(wire::write_nested_head(out, kHeader, wire::head_size(head)), head);
}

void append_with_header(const ResponseHead& head, const Body& body, std::string& out) {
    append(out, header_size(head) + body.size(),
           [&](char* at) { return body.write(write_header(at, head)); });
}

Body put_body(const KeyValueView* prev_kv) {
    return {kPutPrevKv, prev_kv};
}
Body range_body(const KeyValueView* kv, std::int64_t count) {
    return {kRangeKvs, kv, kRangeCount, count};
}
Body delete_body(std::int64_t deleted, const KeyValueView* prev_kv) {
    return {kDeletePrevKvs, prev_kv, kDeleted, deleted};
}

// The response of the operation that a compare-and-swap ran, and its field in ResponseOp.
std::pair<std::uint32_t, Body> swap_body(const SwapOutcome& outcome) {
    if (!outcome.succeeded) return {kOpRange, range_body(outcome.kv, outcome.kv ? 1 : 0)};
    if (outcome.was_delete) return {kOpDeleteRange, delete_body(outcome.deleted, outcome.kv)};
    return {kOpPut, put_body(outcome.kv)};
}

}  // namespace

void append_put_response(const ResponseHead& head, const KeyValueView* prev_kv, std::string& out) {
    append_with_header(head, put_body(prev_kv), out);
}

void append_range_response(const ResponseHead& head, const KeyValueView* kv, std::int64_t count,
                           std::string& out) {
    append_with_header(head, range_body(kv, count), out);
}

void append_delete_response(const ResponseHead& head, std::int64_t deleted,
                            const KeyValueView* prev_kv, std::string& out) {
    append_with_header(head, delete_body(deleted, prev_kv), out);
}

void append_swap_response(const ResponseHead& head, const SwapOutcome& outcome, std::string& out) {
    const bool answers = outcome.succeeded || outcome.has_range;
    const auto [field, body] = swap_body(outcome);
    // As in etcd: the operations' own headers carry the revision, nothing else.
    const ResponseHead inner{.revision = head.revision};
    const std::size_t response = header_size(inner) + body.size();
    const std::size_t op = wire::nested_size(field, response);
    const std::size_t size = header_size(head) + wire::int_size(kTxnSucceeded, outcome.succeeded) +
                             (answers ? wire::nested_size(kTxnResponses, op) : 0);
    append(out, size, [&](char* at) {
        at = write_header(at, head);
        at = wire::write_int(at, kTxnSucceeded, outcome.succeeded);
        if (!answers) return at;
        at = wire::write_nested_head(at, kTxnResponses, op);
        at = wire::write_nested_head(at, field, response);
        return body.write(write_header(at, inner));
    });
}

void append_entry(const EntryView& entry, std::string& out) {
    constexpr std::uint32_t kEntryHeader = 1;  // proto/sluice/internal.proto
    const auto kind = static_cast<std::uint32_t>(entry.kind);
    const std::size_t header = wire::int_size(1, entry.id) + wire::bytes_size(2, entry.username) +
                               wire::int_size(3, entry.auth_revision);
    const std::size_t size =
        wire::nested_size(kEntryHeader, header) + wire::nested_size(kind, entry.request.size());
    append(out, size, [&](char* at) {
        at = wire::write_nested_head(at, kEntryHeader, header);
        at = wire::write_int(at, 1, entry.id);
        at = wire::write_bytes(at, 2, entry.username);
        at = wire::write_int(at, 3, entry.auth_revision);
        return wire::write_raw(wire::write_nested_head(at, kind, entry.request.size()),
                               entry.request);
    });
}

}  // namespace sluice::etcd
