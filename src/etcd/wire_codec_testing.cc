#include "etcd/wire_codec_testing.h"

#include "etcd/checks.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/kv.pb.h"

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
        return std::string(name) + ": protobuf refuses what was decoded";
    }
    if (!same(view, message)) {
        return std::string(name) + ": other fields than " + message.ShortDebugString();
    }
    if (!same_status(check(view), check(to_view(message)))) {
        return std::string(name) + ": other check than " + message.ShortDebugString();
    }
    // What only protobuf reads is decoded again from what it writes.
    View again;
    message.DiscardUnknownFields();
    const std::string plain = message.SerializeAsString();
    if (!decode(plain, again) || !same(again, message)) {
        return std::string(name) + ": not decoded as written by protobuf";
    }
    return "";
}

}  // namespace

std::string disagreement_with_protobuf(std::string_view bytes, int* decoded) {
    return compare<PutView, pb::PutRequest>(bytes, "put", decoded) +
           compare<RangeView, pb::RangeRequest>(bytes, "range", decoded) +
           compare<DeleteRangeView, pb::DeleteRangeRequest>(bytes, "delete", decoded);
}

}  // namespace sluice::etcd
