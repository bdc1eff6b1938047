#include "etcd/server/entry_applier.h"

#include "etcd/checks.h"
#include "etcd/errors.h"
#include "etcd/server/convert.h"
#include "etcd/server/txn.h"
#include "etcd/wire_codec.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {
namespace {

template <class Proto>
Status parse(std::string_view body, Proto& message) {
    if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        return fail(Code::kDataLoss, "a log entry holds a damaged " + message.GetTypeName());
    }
    return {};
}

}  // namespace

Result<grpc::Message> EntryApplier::apply(const EntryView& entry,
                                          std::vector<storage::EventBatch>& events) {
    events_ = &events;
    // As in etcd, while a member's data are said to be corrupt nothing changes but the alarms.
    if (alarms_.corrupt() && entry.kind != EntryKind::kAlarm &&
        entry.kind != EntryKind::kLeaseCheckpoint) {
        return fail(errors::kCorrupt);
    }
    switch (entry.kind) {
        case EntryKind::kPut:
            return put(entry.request);
        case EntryKind::kDeleteRange:
            return delete_range(entry.request);
        case EntryKind::kTxn:
            return txn(entry.request);
        case EntryKind::kCompaction:
            return compact(entry.request);
        case EntryKind::kLeaseGrant:
            return lease_grant(entry.request);
        case EntryKind::kLeaseRevoke:
            return lease_revoke(entry.request);
        case EntryKind::kLeaseExpire:
            return lease_expire(entry.request);
        case EntryKind::kLeaseCheckpoint:
            return lease_checkpoint(entry.request);
        case EntryKind::kAlarm:
            return alarm(entry.request);
    }
    return fail(Code::kDataLoss, "a log entry of an unknown kind");
}

// Runs `body` as one transaction; if it fails the transaction must have changed nothing, or the
// engine has failed.
template <class Body>
Status EntryApplier::in_txn(Body&& body) {
    batch_.begin_txn();
    const Status done = body();
    storage::EventBatch events;
    const bool changed = batch_.end_txn(&events);
    SLUICE_CHECK(done || !changed || is_engine_failure(done.error()));
    if (changed) events_->push_back(std::move(events));
    return done;
}

template <class Response>
grpc::Message EntryApplier::answer(Response& response) const {
    auto* header = response.mutable_header();
    if (header->revision() == 0) header->set_revision(batch_.read_revision());
    identity_.fill(header);
    return grpc::Message::of(response);
}

Result<grpc::Message> EntryApplier::put(std::string_view body) {
    PutView view;
    if (!decode(body, view)) {
        SLUICE_TRY(parse(body, put_request_));
        view = to_view(put_request_);
    }
    if (alarms_.no_space()) return fail(errors::kNoSpace);
    if (view.lease != 0 && !lessor_.exists(view.lease)) return fail(errors::kLeaseNotFound);
    storage::KeyValue prev;
    OperationTally tally;
    const Status done = in_txn([&] { return run_put(batch_, view, &prev, tally); });
    metrics_.record(tally);
    SLUICE_TRY(done);
    grpc::Message message;
    append_put_response(identity_.head(batch_.read_revision()), prev.version != 0 ? &prev : nullptr,
                        message.body());
    return message;
}

Result<grpc::Message> EntryApplier::delete_range(std::string_view body) {
    etcdserverpb::DeleteRangeRequest request;
    DeleteRangeView view;
    if (!decode(body, view)) {
        SLUICE_TRY(parse(body, request));
        view = to_view(request);
    }
    std::vector<storage::KeyValue> prevs;
    std::int64_t deleted = 0;
    OperationTally tally;
    SLUICE_TRY(in_txn([&]() -> Status {
        SLUICE_TRY_ASSIGN(deleted, run_delete_range(batch_, view, prevs, tally));
        return {};
    }));
    metrics_.record(tally);
    grpc::Message message;
    append_delete_response(identity_.head(batch_.read_revision()), deleted, prevs, message.body());
    return message;
}

Result<grpc::Message> EntryApplier::txn(std::string_view body) {
    etcdserverpb::TxnRequest request;
    SLUICE_TRY(parse(body, request));
    if (alarms_.no_space() && puts_something(request)) return fail(errors::kNoSpace);
    etcdserverpb::TxnResponse response;
    SLUICE_TRY(in_txn([&]() -> Status {
        BatchView view(batch_);
        SLUICE_TRY_ASSIGN(const TxnPath path, choose_branches(view, request));
        const Status checked = check_taken(
            view, request, path, [this](storage::LeaseId id) { return lessor_.exists(id); });
        metrics_.record(view.take_tally());
        SLUICE_TRY(checked);
        const Status done = run_txn(view, batch_, request, path, &response);
        metrics_.record(view.take_tally());
        return done;
    }));
    return answer(response);
}

Result<grpc::Message> EntryApplier::compact(std::string_view body) {
    etcdserverpb::CompactionRequest request;
    SLUICE_TRY(parse(body, request));
    SLUICE_TRY(batch_.compact(request.revision()));
    compacted_ = request.revision();
    metrics_.record({.ranges = 1});  // etcd's reads a key, for the revision to answer with
    etcdserverpb::CompactionResponse response;
    return answer(response);
}

Result<grpc::Message> EntryApplier::lease_grant(std::string_view body) {
    etcdserverpb::LeaseGrantRequest request;
    SLUICE_TRY(parse(body, request));
    if (alarms_.no_space()) return fail(errors::kNoSpace);
    SLUICE_TRY_ASSIGN(const LeaseRecord record, lessor_.grant(request.id(), request.ttl()));
    batch_.set_meta(lease_record_key(request.id()), encode_lease_record(record));
    metrics_.lease_granted.add();
    metrics_.lease_ttl.observe(static_cast<double>(record.granted_ttl_s));
    etcdserverpb::LeaseGrantResponse response;
    response.set_id(request.id());
    response.set_ttl(record.granted_ttl_s);
    return answer(response);
}

// A lease that is gone from the lessor takes its keys along.
Status EntryApplier::delete_keys_of(storage::LeaseId lease) {
    metrics_.lease_revoked.add();
    batch_.delete_meta(lease_record_key(lease));
    SLUICE_TRY_ASSIGN(const std::vector<std::string> keys, batch_.keys_of_lease(lease));
    metrics_.record({.deletes = static_cast<std::uint32_t>(keys.size())});
    return in_txn([&]() -> Status {
        for (const std::string& key : keys) SLUICE_TRY(batch_.delete_range(key, {}));
        return {};
    });
}

Result<grpc::Message> EntryApplier::lease_revoke(std::string_view body) {
    etcdserverpb::LeaseRevokeRequest request;
    SLUICE_TRY(parse(body, request));
    SLUICE_TRY(lessor_.revoke(request.id()));
    SLUICE_TRY(delete_keys_of(request.id()));
    etcdserverpb::LeaseRevokeResponse response;
    return answer(response);
}

Result<grpc::Message> EntryApplier::lease_expire(std::string_view body) {
    internal::LeaseExpire request;
    SLUICE_TRY(parse(body, request));
    for (const storage::LeaseId id : request.ids()) {
        if (!lessor_.revoke(id)) continue;
        metrics_.lease_expired.add();
        SLUICE_TRY(delete_keys_of(id));
    }
    etcdserverpb::LeaseRevokeResponse response;
    return answer(response);
}

Result<grpc::Message> EntryApplier::lease_checkpoint(std::string_view body) {
    etcdserverpb::LeaseCheckpointRequest request;
    SLUICE_TRY(parse(body, request));
    for (const auto& checkpoint : request.checkpoints()) {
        const auto record = lessor_.checkpoint(checkpoint.id(), checkpoint.remaining_ttl());
        if (record)
            batch_.set_meta(lease_record_key(checkpoint.id()), encode_lease_record(*record));
    }
    etcdserverpb::LeaseCheckpointResponse response;
    return answer(response);
}

Result<grpc::Message> EntryApplier::alarm(std::string_view body) {
    using etcdserverpb::AlarmRequest;
    AlarmRequest request;
    SLUICE_TRY(parse(body, request));
    const RaisedAlarm named{request.memberid(), request.alarm()};
    std::vector<RaisedAlarm> shown;
    if (request.action() == AlarmRequest::GET) {
        shown = alarms_.list(request.alarm());
    } else if (request.alarm() == AlarmType::NONE) {
        // Nothing is named: as in etcd, nothing happens.
    } else if (request.action() == AlarmRequest::ACTIVATE) {
        alarms_.activate(named);
        batch_.set_meta(alarm_record_key(named), {});
        shown.push_back(named);
    } else if (request.action() == AlarmRequest::DEACTIVATE && alarms_.deactivate(named)) {
        batch_.delete_meta(alarm_record_key(named));
        shown.push_back(named);
    }
    etcdserverpb::AlarmResponse response;
    for (const RaisedAlarm& raised : shown) {
        auto* out = response.add_alarms();
        out->set_memberid(raised.member_id);
        out->set_alarm(raised.type);
    }
    return answer(response);
}

}  // namespace sluice::etcd
