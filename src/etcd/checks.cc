#include "etcd/checks.h"

#include <algorithm>

#include "etcd/branch_conflicts.h"
#include "etcd/errors.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;

Status check_txn_rules(const pb::TxnRequest& request, int budget);

Status check_operation(const pb::RequestOp& op, int budget) {
    switch (op.request_case()) {
        case pb::RequestOp::kRequestRange:
            return check(to_view(op.request_range()));
        case pb::RequestOp::kRequestPut:
            return check(to_view(op.request_put()));
        case pb::RequestOp::kRequestDeleteRange:
            return check(to_view(op.request_delete_range()));
        case pb::RequestOp::kRequestTxn:
            return check_txn_rules(op.request_txn(), budget);
        case pb::RequestOp::REQUEST_NOT_SET:
            break;
    }
    return fail(errors::kKeyNotFound);
}

// Everything but the conflicts between operations. Its depth is bounded: every level spends at
// least one of the budget.
Status check_txn_rules(const pb::TxnRequest& request, int budget) {
    const int widest =
        std::max({request.compare_size(), request.success_size(), request.failure_size()});
    if (widest > budget) return fail(errors::kTooManyOps);
    for (const pb::Compare& compare : request.compare()) {
        if (compare.key().empty()) return fail(errors::kEmptyKey);
    }
    for (const pb::RequestOp& op : request.success()) {
        SLUICE_TRY(check_operation(op, budget - widest));
    }
    for (const pb::RequestOp& op : request.failure()) {
        SLUICE_TRY(check_operation(op, budget - widest));
    }
    return {};
}

template <class Predicate>
bool all_operations(const pb::TxnRequest& request, Predicate predicate) {
    return std::ranges::all_of(request.success(), predicate) &&
           std::ranges::all_of(request.failure(), predicate);
}

}  // namespace

Status check(const RangeView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    if (!pb::RangeRequest::SortOrder_IsValid(request.sort_order) ||
        !pb::RangeRequest::SortTarget_IsValid(request.sort_target)) {
        return fail(errors::kInvalidSortOption);
    }
    return {};
}

Status check(const PutView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    if (request.ignore_value && !request.value.empty()) return fail(errors::kValueProvided);
    if (request.ignore_lease && request.lease != 0) return fail(errors::kLeaseProvided);
    return {};
}

Status check(const DeleteRangeView& request) {
    if (request.key.empty()) return fail(errors::kEmptyKey);
    return {};
}

Status check_txn(const pb::TxnRequest& request, int max_ops) {
    SLUICE_TRY(check_txn_rules(request, max_ops));
    if (has_conflict(request.success()) || has_conflict(request.failure())) {
        return fail(errors::kDuplicateKey);
    }
    return {};
}

Status check_range_stream(const pb::RangeRequest& request) {
    SLUICE_TRY(check(to_view(request)));
    // Without an order the target counts for nothing here (a plain range would sort by it).
    const bool ordered_by_key = request.sort_order() == pb::RangeRequest::NONE ||
                                (request.sort_order() == pb::RangeRequest::ASCEND &&
                                 request.sort_target() == pb::RangeRequest::KEY);
    if (!ordered_by_key) return fail(errors::kRangeStreamSort);
    if (request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
        request.min_create_revision() != 0 || request.max_create_revision() != 0) {
        return fail(errors::kRangeStreamFilter);
    }
    return {};
}

bool is_read_only(const pb::TxnRequest& request) {
    return all_operations(request, [](const pb::RequestOp& op) { return op.has_request_range(); });
}

bool puts_something(const pb::TxnRequest& request) {
    const auto puts = [](const pb::RequestOp& op) {
        return op.has_request_put() || (op.has_request_txn() && puts_something(op.request_txn()));
    };
    return std::ranges::any_of(request.success(), puts) ||
           std::ranges::any_of(request.failure(), puts);
}

bool is_serializable(const pb::TxnRequest& request) {
    return all_operations(request, [](const pb::RequestOp& op) {
        return op.has_request_range() && op.request_range().serializable();
    });
}

}  // namespace sluice::etcd
