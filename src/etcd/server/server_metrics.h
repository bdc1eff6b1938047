// What the etcd face tells Prometheus, under etcd's names where the thing is the same.
#pragma once

#include "base/metrics.h"
#include "etcd/server/services.h"
#include "net/grpc/service.h"
#include "net/server/server.h"

namespace sluice::etcd {

// Everything here is read when a scrape comes; nothing is counted twice for it. All outlive the
// registry's last collection.
void add_server_metrics(metrics::Registry& registry, const ServiceParts& parts,
                        const grpc::ServiceRegistry& services, const net::Server& server);

}  // namespace sluice::etcd
