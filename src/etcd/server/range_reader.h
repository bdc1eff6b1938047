// Range: reads for clients, at the consistency they asked for.
//
// A read of one key asks memory in the connection's turn and is answered there. Everything else
// goes on on a fiber of its own: it waits for the read index, reads slice by slice, and moves to
// the blocking pool for the slices that need the disk. Pairs go from the store's memory straight
// into the response's bytes; only what must be sorted is collected first.
#pragma once

#include "etcd/request_views.h"
#include "etcd/server/services.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {

class RangeReader {
  public:
    explicit RangeReader(ServiceParts& parts) : parts_(parts) {}

    void range(grpc::CallRef call, std::string_view bytes);
    // A transaction that only reads.
    void read_only_txn(grpc::CallRef call, etcdserverpb::TxnRequest request);

  private:
    bool try_get(const grpc::CallRef& call, const RangeView& request);
    Result<grpc::Message> read(const grpc::CallRef& call, const RangeView& request);
    Result<grpc::Message> read_txn(const grpc::CallRef& call,
                                   const etcdserverpb::TxnRequest& request);
    Status wait_linearizable(const grpc::CallRef& call);

    ServiceParts& parts_;
};

}  // namespace sluice::etcd
