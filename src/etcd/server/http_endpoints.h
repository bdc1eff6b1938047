// The plain HTTP endpoints that etcd has on its client port: GET /health and /version.
// Bodies are etcd's (server/etcdserver/api/etcdhttp).
#pragma once

#include "etcd/server/services.h"
#include "net/server/http_router.h"

namespace sluice::etcd {

// `parts` outlives the router.
void add_http_endpoints(net::HttpRouter& router, ServiceParts& parts);

}  // namespace sluice::etcd
