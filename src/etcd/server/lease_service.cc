// The Lease service: LeaseGrant, LeaseRevoke, LeaseKeepAlive, LeaseTimeToLive, LeaseLeases.
#include <random>

#include "etcd/server/lease_keep_alive.h"
#include "etcd/server/quota.h"
#include "etcd/server/services.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "rt/blocking.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::LeaseGrantRequest;

class LeaseService {
  public:
    explicit LeaseService(ServiceParts& parts) : parts_(parts), random_(std::random_device{}()) {}

    void grant(grpc::CallRef call, std::string_view bytes) {
        LeaseGrantRequest request;
        if (!parse_request(call, bytes, request)) return;
        const Status room = parts_.quota.admit(bytes.size());
        if (!room) return call->finish(room.error());
        const auto grant = parts_.lessor.prepare(request.id(), request.ttl(), next_random());
        if (!grant) return call->finish(grant.error());
        request.set_id(grant->id);
        request.set_ttl(grant->ttl_s);
        submit(EntryKind::kLeaseGrant, std::move(call), request.SerializeAsString());
    }

    void revoke(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::LeaseRevokeRequest request;
        if (!parse_request(call, bytes, request)) return;
        submit(EntryKind::kLeaseRevoke, std::move(call), std::string(bytes));
    }

    void time_to_live(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::LeaseTimeToLiveRequest request;
        if (!parse_request(call, bytes, request)) return;
        etcdserverpb::LeaseTimeToLiveResponse response;
        response.set_id(request.id());
        const auto left = parts_.lessor.time_to_live(request.id());
        response.set_ttl(left ? left->ttl_s : -1);
        if (left) response.set_grantedttl(left->granted_ttl_s);
        fill(response);
        if (!left || !request.keys()) return call->finish(grpc::Message::of(response));
        call->run([this, call, id = request.id(), response = std::move(response)]() mutable {
            const auto keys = rt::blocking([&] { return parts_.store.keys_of_lease(id); });
            if (!keys) return call->finish(keys.error());
            for (const std::string& key : *keys) response.add_keys(key);
            call->finish(grpc::Message::of(response));
        });
    }

    void leases(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::LeaseLeasesRequest request;
        if (!parse_request(call, bytes, request)) return;
        etcdserverpb::LeaseLeasesResponse response;
        fill(response);
        for (const LeaseId id : parts_.lessor.leases()) response.add_leases()->set_id(id);
        call->finish(grpc::Message::of(response));
    }

  private:
    template <class Response>
    void fill(Response& response) {
        parts_.identity.fill(response.mutable_header(), parts_.store.current_revision());
    }
    void submit(EntryKind kind, grpc::CallRef call, std::string body) {
        call->account.charge(Stage::kParse, parts_.ticks.now());
        parts_.proposer.submit(kind, std::move(call), std::move(body));
    }
    std::uint64_t next_random() {
        MutexLock lock(mutex_);
        return random_();
    }

    ServiceParts& parts_;
    Mutex mutex_;
    std::mt19937_64 random_ SLUICE_GUARDED_BY(mutex_);
};

}  // namespace

void add_lease_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    auto service = std::make_shared<LeaseService>(parts);
    const auto add = [&](std::string_view path,
                         void (LeaseService::*method)(grpc::CallRef, std::string_view)) {
        registry.unary(path, [service, method](grpc::CallRef call, std::string_view bytes) {
            (service.get()->*method)(std::move(call), bytes);
        });
    };
    add("/etcdserverpb.Lease/LeaseGrant", &LeaseService::grant);
    add("/etcdserverpb.Lease/LeaseRevoke", &LeaseService::revoke);
    add("/etcdserverpb.Lease/LeaseTimeToLive", &LeaseService::time_to_live);
    add("/etcdserverpb.Lease/LeaseLeases", &LeaseService::leases);
    registry.stream(
        "/etcdserverpb.Lease/LeaseKeepAlive", grpc::MethodKind::kBidiStream,
        [&parts](grpc::CallRef call) { return make_keep_alive_stream(parts, std::move(call)); });
}

}  // namespace sluice::etcd
