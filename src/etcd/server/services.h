// What the services of the etcd face share.
#pragma once

#include <atomic>
#include <functional>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory_budget.h"
#include "base/tick_clock.h"
#include "consensus/node.h"
#include "etcd/lessor.h"
#include "etcd/server/alarms.h"
#include "etcd/server/operation_metrics.h"
#include "etcd/server/proposer.h"
#include "etcd/server/quota.h"
#include "etcd/server/response_header.h"
#include "etcd/watch_hub.h"
#include "net/grpc/call.h"
#include "net/grpc/service.h"
#include "storage/mvcc/store.h"

namespace sluice::etcd {

// The etcd release whose behaviour this server has: StatusResponse.version and GET /version.
// Clients turn features on by it.
inline constexpr std::string_view kEtcdVersion = "3.6.0";
inline constexpr std::string_view kEtcdClusterVersion = "3.6.0";

struct ServiceOptions {
    std::string name;
    std::vector<std::string> client_urls;  // advertised
    std::vector<std::string> peer_urls;
    std::uint32_t max_txn_ops = 128;
    std::uint32_t request_bytes_max = 1'572'864;
    std::uint64_t quota_bytes = 0;  // 0: no quota
};

struct ServiceParts {
    const ServiceOptions& options;
    storage::MvccStore& store;
    consensus::Node& node;
    Proposer& proposer;
    Lessor& lessor;
    Alarms& alarms;
    Quota& quota;
    WatchHub& hub;
    const Identity& identity;
    OperationMetrics& metrics;
    MemoryBudget& range_bytes;  // of range responses being made and sent
    const TickClock& ticks;
    const Clock& clock;
    const Logger& log;
};

// What Go's server answers to bytes that are no request.
inline Error malformed_request() {
    return {Code::kInternal,
            "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data"};
}

// Parses a request; finishes the call with malformed_request() and returns false if it is not one.
template <class Proto>
bool parse_request(const grpc::CallRef& call, std::string_view bytes, Proto& message) {
    if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return true;
    call->finish(malformed_request());
    return false;
}

// Each adds one service's methods. `parts` outlives the registry.
void add_kv_service(grpc::ServiceRegistry& registry, ServiceParts& parts);
void add_watch_service(grpc::ServiceRegistry& registry, ServiceParts& parts);
void add_lease_service(grpc::ServiceRegistry& registry, ServiceParts& parts);
void add_maintenance_service(grpc::ServiceRegistry& registry, ServiceParts& parts);
void add_cluster_service(grpc::ServiceRegistry& registry, ServiceParts& parts);
void add_health_service(grpc::ServiceRegistry& registry, ServiceParts& parts);

}  // namespace sluice::etcd
