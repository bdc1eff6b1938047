#include "etcd/server/txn.h"

#include <algorithm>
#include <compare>
#include <optional>

#include "base/check.h"
#include "etcd/errors.h"
#include "etcd/server/convert.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using Operations = google::protobuf::RepeatedPtrField<RequestOp>;

// ---- compares

std::strong_ordering order_of(const Compare& compare, const storage::KeyValue& kv) {
    switch (compare.target()) {
        case Compare::VALUE:
            return kv.value.compare(compare.value()) <=> 0;
        case Compare::CREATE:
            return kv.create_revision <=> compare.create_revision();
        case Compare::MOD:
            return kv.mod_revision <=> compare.mod_revision();
        case Compare::VERSION:
            return kv.version <=> compare.version();
        case Compare::LEASE:
            return kv.lease <=> compare.lease();
        default:
            return std::strong_ordering::equal;
    }
}

bool holds(const Compare& compare, const storage::KeyValue& kv) {
    const std::strong_ordering order = order_of(compare, kv);
    switch (compare.result()) {
        case Compare::EQUAL:
            return order == 0;
        case Compare::NOT_EQUAL:
            return order != 0;
        case Compare::GREATER:
            return order > 0;
        case Compare::LESS:
            return order < 0;
        default:
            return true;
    }
}

Result<bool> holds(TxnView& view, const Compare& compare) {
    storage::RangeResult found;
    SLUICE_TRY(view.range({.key = compare.key(), .range_end = compare.range_end()}, found));
    if (found.kvs.empty()) {
        // A missing key has no value to compare; its numbers are all 0.
        return compare.target() != Compare::VALUE && holds(compare, storage::KeyValue{});
    }
    return std::ranges::all_of(found.kvs, [&](const auto& kv) { return holds(compare, kv); });
}

Status choose(TxnView& view, const TxnRequest& request, TxnPath& path) {
    bool success = true;
    for (const Compare& compare : request.compare()) {
        SLUICE_TRY_ASSIGN(const bool one, holds(view, compare));
        if (!one) {
            success = false;
            break;
        }
    }
    path.push_back(success);
    for (const RequestOp& op : success ? request.success() : request.failure()) {
        if (op.has_request_txn()) SLUICE_TRY(choose(view, op.request_txn(), path));
    }
    return {};
}

// ---- walking the taken branches

// Walks a tree in the order of its path.
class Walk {
  public:
    explicit Walk(const TxnPath& path) : path_(path) {}
    const Operations& taken(const TxnRequest& request) {
        SLUICE_CHECK(next_ < path_.size());
        succeeded_ = path_[next_++];
        return succeeded_ ? request.success() : request.failure();
    }
    bool succeeded() const { return succeeded_; }

  private:
    const TxnPath& path_;
    std::size_t next_ = 0;
    bool succeeded_ = false;
};

template <class Check>
Status for_each_taken(const TxnRequest& request, Walk& walk, Check&& check) {
    for (const RequestOp& op : walk.taken(request)) {
        if (op.has_request_txn()) {
            SLUICE_TRY(for_each_taken(op.request_txn(), walk, check));
        } else {
            SLUICE_TRY(check(op));
        }
    }
    return {};
}

// What the taken operations so far leave of the keys that were there before. Only deletes to the
// end of the keys count: all others conflict with a put of the same key (branch_conflicts.h), and
// so does a second put, so what they delete is not there for any later put.
class KeysLeft {
  public:
    void note_delete(const etcdserverpb::DeleteRangeRequest& request) {
        constexpr std::string_view kToTheEnd("\0", 1);
        if (request.range_end() != kToTheEnd) return;
        if (!gone_from_ || request.key() < *gone_from_) gone_from_ = request.key();
    }
    bool has(std::string_view key) const { return !gone_from_ || key < *gone_from_; }

  private:
    std::optional<std::string_view> gone_from_;
};

// The lease first: it is what etcd names where both are missing.
Status check_one_put(TxnView& view, const etcdserverpb::PutRequest& put, const KeysLeft& left,
                     const LeaseExists& lease_exists) {
    if (put.lease() != 0 && !lease_exists(put.lease())) return fail(errors::kLeaseNotFound);
    if (!put.ignore_value() && !put.ignore_lease()) {
        view.tally().ranges += put.prev_kv();  // etcd looks the pair up here as well
        return {};
    }
    if (!left.has(put.key())) return fail(errors::kKeyNotFound);
    storage::RangeResult found;
    SLUICE_TRY(view.range({.key = put.key(), .range_end = {}}, found));
    if (found.kvs.empty()) return fail(errors::kKeyNotFound);
    return {};
}

Status check_one_range(const TxnView& view, const etcdserverpb::RangeRequest& range) {
    const storage::Revision revision = range.revision();
    if (revision == 0) return {};
    if (revision > view.revision()) return fail(errors::kFutureRev);
    if (revision < view.compacted()) return fail(errors::kCompacted);
    return {};
}

Status run_range(TxnView& view, const etcdserverpb::RangeRequest& request,
                 etcdserverpb::RangeResponse* response) {
    storage::RangeResult result;
    SLUICE_TRY(view.range(to_query(to_view(request)), result));
    result.revision = view.revision();
    to_proto(std::move(result), response);
    return {};
}

Status run_put(storage::Applier& batch, const etcdserverpb::PutRequest& request,
               etcdserverpb::PutResponse* response, OperationTally& tally) {
    storage::KeyValue prev;
    SLUICE_TRY(run_put(batch, to_view(request), &prev, tally));
    response->mutable_header()->set_revision(batch.read_revision());
    if (prev.version != 0) to_proto(std::move(prev), response->mutable_prev_kv());
    return {};
}

Status run_delete_range(storage::Applier& batch, const etcdserverpb::DeleteRangeRequest& request,
                        etcdserverpb::DeleteRangeResponse* response, OperationTally& tally) {
    std::vector<storage::KeyValue> prevs;
    SLUICE_TRY_ASSIGN(const std::int64_t deleted,
                      run_delete_range(batch, to_view(request), prevs, tally));
    response->mutable_header()->set_revision(batch.read_revision());
    response->set_deleted(deleted);
    for (storage::KeyValue& kv : prevs) to_proto(std::move(kv), response->add_prev_kvs());
    return {};
}

// ---- running. `batch` is null for a transaction that only reads.

Status run(TxnView& view, storage::Applier* batch, const TxnRequest& request, Walk& walk,
           TxnResponse* response) {
    const Operations& operations = walk.taken(request);
    response->mutable_header();
    response->set_succeeded(walk.succeeded());
    for (const RequestOp& op : operations) {
        ResponseOp* const out = response->add_responses();
        switch (op.request_case()) {
            case RequestOp::kRequestRange:
                SLUICE_TRY(run_range(view, op.request_range(), out->mutable_response_range()));
                break;
            case RequestOp::kRequestPut:
                SLUICE_CHECK(batch != nullptr);
                SLUICE_TRY(
                    run_put(*batch, op.request_put(), out->mutable_response_put(), view.tally()));
                break;
            case RequestOp::kRequestDeleteRange:
                SLUICE_CHECK(batch != nullptr);
                SLUICE_TRY(run_delete_range(*batch, op.request_delete_range(),
                                            out->mutable_response_delete_range(), view.tally()));
                break;
            case RequestOp::kRequestTxn:
                SLUICE_TRY(run(view, batch, op.request_txn(), walk, out->mutable_response_txn()));
                break;
            case RequestOp::REQUEST_NOT_SET:
                break;  // refused by check_txn
        }
    }
    return {};
}

}  // namespace

Result<TxnPath> choose_branches(TxnView& view, const TxnRequest& request) {
    TxnPath path;
    SLUICE_TRY(choose(view, request, path));
    return path;
}

Status check_taken(TxnView& view, const TxnRequest& request, const TxnPath& path,
                   const LeaseExists& lease_exists) {
    Walk walk(path);
    KeysLeft left;
    return for_each_taken(request, walk, [&](const RequestOp& op) -> Status {
        if (op.has_request_put()) return check_one_put(view, op.request_put(), left, lease_exists);
        if (op.has_request_range()) return check_one_range(view, op.request_range());
        if (op.has_request_delete_range()) left.note_delete(op.request_delete_range());
        return {};
    });
}

Status run_txn(BatchView& view, storage::Applier& batch, const TxnRequest& request,
               const TxnPath& path, TxnResponse* response) {
    Walk walk(path);
    SLUICE_TRY(run(view, &batch, request, walk, response));
    response->mutable_header()->set_revision(batch.read_revision());
    return {};
}

Status run_read_only(TxnView& view, const TxnRequest& request, const TxnPath& path,
                     TxnResponse* response) {
    Walk walk(path);
    SLUICE_TRY(run(view, nullptr, request, walk, response));
    response->mutable_header()->set_revision(view.revision());
    return {};
}

Status run_put(storage::Applier& batch, const PutView& request, storage::KeyValue* prev,
               OperationTally& tally) {
    if (request.ignore_value || request.ignore_lease || request.prev_kv) tally.ranges += 1;
    std::string_view value = request.value;
    storage::LeaseId lease = request.lease;
    storage::RangeResult before;
    if (request.ignore_value || request.ignore_lease) {
        SLUICE_TRY(batch.range({.key = request.key, .range_end = {}}, before));
        if (before.kvs.empty()) return fail(errors::kKeyNotFound);
        if (request.ignore_value) value = before.kvs[0].value;
        if (request.ignore_lease) lease = before.kvs[0].lease;
    }
    tally.puts += 1;
    tally.put_bytes += request.key.size() + value.size();
    return batch.put(request.key, value, lease, request.prev_kv ? prev : nullptr);
}

Result<std::int64_t> run_delete_range(storage::Applier& batch, const DeleteRangeView& request,
                                      std::vector<storage::KeyValue>& prevs,
                                      OperationTally& tally) {
    if (request.prev_kv) tally.ranges += 1;
    tally.deletes += 1;
    return batch.delete_range(request.key, request.range_end, request.prev_kv ? &prevs : nullptr);
}

}  // namespace sluice::etcd
