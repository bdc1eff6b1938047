// The Cluster service (MemberList) and the standard health service.
#include "etcd/server/services.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/grpc/health.pb.h"

namespace sluice::etcd {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

void list_members(ServiceParts& parts, const grpc::CallRef& call, std::string_view bytes) {
    etcdserverpb::MemberListRequest request;
    if (!parse_request(call, bytes, request)) return;
    etcdserverpb::MemberListResponse response;
    parts.identity.fill(response.mutable_header());
    auto* const member = response.add_members();
    member->set_id(parts.identity.member_id);
    member->set_name(parts.options.name);
    for (const std::string& url : parts.options.peer_urls) member->add_peerurls(url);
    for (const std::string& url : parts.options.client_urls) member->add_clienturls(url);
    call->finish(grpc::Message::of(response));
}

HealthCheckResponse health_of(ServiceParts& parts) {
    HealthCheckResponse response;
    response.set_status(parts.node.view().failed ? HealthCheckResponse::NOT_SERVING
                                                 : HealthCheckResponse::SERVING);
    return response;
}

// A watch of the server's health: one answer now; the server's end is the stream's.
class HealthWatch final : public grpc::ServerStream {
  public:
    HealthWatch(ServiceParts& parts, grpc::CallRef call) : parts_(parts), call_(std::move(call)) {}
    void on_message(std::string_view bytes) override {
        HealthCheckRequest request;
        if (!parse_request(call_, bytes, request)) return;
        HealthCheckResponse response = health_of(parts_);
        if (!request.service().empty()) response.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
        call_->send(grpc::Message::of(response));
    }
    void on_half_close() override {}
    void on_cancel() override {}

  private:
    ServiceParts& parts_;
    grpc::CallRef call_;
};

}  // namespace

void add_cluster_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    registry.unary(
        "/etcdserverpb.Cluster/MemberList",
        [&parts](grpc::CallRef call, std::string_view bytes) { list_members(parts, call, bytes); });
}

void add_health_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    registry.unary("/grpc.health.v1.Health/Check",
                   [&parts](grpc::CallRef call, std::string_view bytes) {
                       HealthCheckRequest request;
                       if (!parse_request(call, bytes, request)) return;
                       if (!request.service().empty()) {
                           return call->finish(Error(Code::kNotFound, "unknown service"));
                       }
                       call->finish(grpc::Message::of(health_of(parts)));
                   });
    registry.unary("/grpc.health.v1.Health/List",
                   [&parts](grpc::CallRef call, std::string_view bytes) {
                       ::grpc::health::v1::HealthListRequest request;
                       if (!parse_request(call, bytes, request)) return;
                       ::grpc::health::v1::HealthListResponse response;
                       (*response.mutable_statuses())[""] = health_of(parts);
                       call->finish(grpc::Message::of(response));
                   });
    registry.stream("/grpc.health.v1.Health/Watch", grpc::MethodKind::kServerStream,
                    [&parts](grpc::CallRef call) {
                        return std::make_unique<HealthWatch>(parts, std::move(call));
                    });
}

}  // namespace sluice::etcd
