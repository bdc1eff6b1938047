// Applies one log entry to the store's batch, and makes its answer: the same on every member.
//
// Nothing here depends on time, on the caller, or on anything but the entry and the state. What an
// entry changes becomes visible when the batch is committed (state_machine.h); answers are sent
// after that.
//
// Errors. A client's error (etcd/errors.h) is an answer like any other: the entry changed nothing.
// An engine's error, is_engine_failure(), means that the node must stop.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "etcd/entry.h"
#include "etcd/errors.h"
#include "etcd/lessor.h"
#include "etcd/server/alarms.h"
#include "etcd/server/operation_metrics.h"
#include "etcd/server/response_header.h"
#include "net/grpc/message.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "storage/mvcc/applier.h"

namespace sluice::etcd {

inline bool is_engine_failure(const Error& error) {
    return error.code() == Code::kInternal ||
           (error.code() == Code::kDataLoss && !errors::kCorrupt.is(error));
}

class EntryApplier {
  public:
    // All outlive this object.
    EntryApplier(storage::Applier& batch, Lessor& lessor, Alarms& alarms, const Identity& identity,
                 OperationMetrics& metrics)
        : batch_(batch), lessor_(lessor), alarms_(alarms), identity_(identity), metrics_(metrics) {}

    // The encoded response, without error; appends the events of each revision that it took.
    Result<grpc::Message> apply(const EntryView& entry, std::vector<storage::EventBatch>& events);

    // The revision that was compacted since the last call, if any.
    std::optional<storage::Revision> take_compaction() { return std::exchange(compacted_, {}); }

  private:
    Result<grpc::Message> put(std::string_view body);
    Result<grpc::Message> delete_range(std::string_view body);
    Result<grpc::Message> txn(std::string_view body);
    Result<grpc::Message> compact(std::string_view body);
    Result<grpc::Message> lease_grant(std::string_view body);
    Result<grpc::Message> lease_revoke(std::string_view body);
    Result<grpc::Message> lease_expire(std::string_view body);
    Result<grpc::Message> lease_checkpoint(std::string_view body);
    Result<grpc::Message> alarm(std::string_view body);

    template <class Body>
    Status in_txn(Body&& body);
    Status delete_keys_of(storage::LeaseId lease);
    template <class Response>
    grpc::Message answer(Response& response) const;

    storage::Applier& batch_;
    Lessor& lessor_;
    Alarms& alarms_;
    const Identity& identity_;
    OperationMetrics& metrics_;
    std::vector<storage::EventBatch>* events_ = nullptr;  // during apply()
    std::optional<storage::Revision> compacted_;
    etcdserverpb::PutRequest put_request_;  // kept for its strings' memory
};

}  // namespace sluice::etcd
