#include "etcd/wire_codec_testing.h"

#include "etcd/checks.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;

bool same(const PutView& a, const pb::PutRequest& b) {
    return a.key == b.key() && a.value == b.value() && a.lease == b.lease() &&
           a.prev_kv == b.prev_kv() && a.ignore_value == b.ignore_value() &&
           a.ignore_lease == b.ignore_lease();
}

bool same(const RangeView& a, const pb::RangeRequest& b) {
    return a.key == b.key() && a.range_end == b.range_end() && a.limit == b.limit() &&
           a.revision == b.revision() && a.sort_order == static_cast<int>(b.sort_order()) &&
           a.sort_target == static_cast<int>(b.sort_target()) &&
           a.serializable == b.serializable() && a.keys_only == b.keys_only() &&
           a.count_only == b.count_only() && a.min_mod_revision == b.min_mod_revision() &&
           a.max_mod_revision == b.max_mod_revision() &&
           a.min_create_revision == b.min_create_revision() &&
           a.max_create_revision == b.max_create_revision();
}

bool same(const DeleteRangeView& a, const pb::DeleteRangeRequest& b) {
    return a.key == b.key() && a.range_end == b.range_end() && a.prev_kv == b.prev_kv();
}

bool same(const CompareAndSwapView& a, const pb::TxnRequest& b) {
    if (b.compare_size() != 1 || b.success_size() != 1) return false;
    if (b.failure_size() != (a.otherwise ? 1 : 0)) return false;
    const pb::Compare& compare = b.compare(0);
    const auto& op = b.success(0);
    // An unset union compares with 0, as mod_revision does.
    return compare.key() == a.key && compare.mod_revision() == a.mod_revision &&
           (compare.has_mod_revision() ||
            compare.target_union_case() == pb::Compare::TARGET_UNION_NOT_SET) &&
           compare.target() == pb::Compare::MOD && compare.result() == pb::Compare::EQUAL &&
           compare.range_end().empty() && a.put.has_value() != a.delete_range.has_value() &&
           a.put.has_value() == op.has_request_put() &&
           a.delete_range.has_value() == op.has_request_delete_range() &&
           (!a.put || same(*a.put, op.request_put())) &&
           (!a.delete_range || same(*a.delete_range, op.request_delete_range())) &&
           (!a.otherwise ||
            (b.failure(0).has_request_range() && same(*a.otherwise, b.failure(0).request_range())));
}

// The request inside must be one that protobuf reads from the same bytes.
bool same(const EntryView& a, const internal::Request& b) {
    return a.id == b.header().id() && a.username == b.header().username() &&
           a.auth_revision == b.header().auth_revision() &&
           static_cast<std::uint32_t>(a.kind) == static_cast<std::uint32_t>(b.request_case());
}

Status check_message(const pb::PutRequest& request) {
    return check_put(request);
}
Status check_message(const pb::RangeRequest& request) {
    return check_range(request);
}
Status check_message(const pb::DeleteRangeRequest& request) {
    return check_delete_range(request);
}
Status check_message(const pb::TxnRequest& request) {
    return check_txn(request, 128);
}

bool same_status(const Status& a, const Status& b) {
    return a.has_value() == b.has_value() && (a || (a.error().code() == b.error().code() &&
                                                    a.error().message() == b.error().message()));
}

template <class View, class Message>
std::string compare(std::string_view bytes, const char* name, int* decoded) {
    View view;
    if (!decode(bytes, view)) return "";
    if (decoded) ++*decoded;
    Message message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        // A view of an entry does not look into the request, which has its own decoder.
        if constexpr (std::is_same_v<View, EntryView>) return "";
        return std::string(name) + ": protobuf refuses what was decoded";
    }
    if (!same(view, message)) {
        return std::string(name) + ": other fields than " + message.ShortDebugString();
    }
    if constexpr (!std::is_same_v<View, EntryView>) {
        if (!same_status(check(view), check_message(message))) {
            return std::string(name) + ": other check than " + message.ShortDebugString();
        }
    }
    return "";
}

}  // namespace

std::string disagreement_with_protobuf(std::string_view bytes, int* decoded) {
    return compare<PutView, pb::PutRequest>(bytes, "put", decoded) +
           compare<RangeView, pb::RangeRequest>(bytes, "range", decoded) +
           compare<DeleteRangeView, pb::DeleteRangeRequest>(bytes, "delete", decoded) +
           compare<CompareAndSwapView, pb::TxnRequest>(bytes, "txn", decoded) +
           compare<EntryView, internal::Request>(bytes, "entry", decoded);
}

}  // namespace sluice::etcd
