// One LeaseKeepAlive stream: every message renews a lease, and the answers keep their order.
//
// A lease whose time is over is answered with TTL 0, but only when its revocation has been applied:
// who hears of the end may rely on the lease's keys being gone. The stream proposes that revocation
// itself if nobody has; messages that come meanwhile wait behind it
// (limits::kLeaseRenewalsWaiting).
//
// Called in the connection's turn; nothing suspends there.
#pragma once

#include <memory>

#include "etcd/server/services.h"
#include "net/grpc/service.h"

namespace sluice::etcd {

// `parts` outlives the stream.
std::unique_ptr<grpc::ServerStream> make_keep_alive_stream(ServiceParts& parts, grpc::CallRef call);

}  // namespace sluice::etcd
