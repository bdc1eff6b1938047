// The smallest gRPC server that grpc++ can make with its callback interface: the peer of
// `./dev bench wire`. It answers grpc.health.v1.Health/Check, KV/Put and KV/Range with constants.
//
//   grpc-cpp 127.0.0.1:2379
#include <grpcpp/grpcpp.h>

#include <cstdio>

#include "proto/etcdserverpb/kv.grpc.pb.h"
#include "proto/grpc/health.grpc.pb.h"

namespace {

template <class Response>
grpc::ServerUnaryReactor* finish(grpc::CallbackServerContext* context, Response* response) {
    auto* header = response->mutable_header();
    header->set_cluster_id(1);
    header->set_member_id(1);
    header->set_revision(1);
    header->set_raft_term(1);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
}

class Kv final : public etcdserverpb::KV::CallbackService {
    grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                  const etcdserverpb::PutRequest*,
                                  etcdserverpb::PutResponse* response) override {
        return finish(context, response);
    }
    grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* context,
                                    const etcdserverpb::RangeRequest*,
                                    etcdserverpb::RangeResponse* response) override {
        return finish(context, response);
    }
};

class Health final : public grpc::health::v1::Health::CallbackService {
    grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                    const grpc::health::v1::HealthCheckRequest*,
                                    grpc::health::v1::HealthCheckResponse* response) override {
        response->set_status(grpc::health::v1::HealthCheckResponse::SERVING);
        auto* reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: grpc-cpp ADDRESS:PORT\n", stderr);
        return 2;
    }
    Kv kv;
    Health health;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
    builder.RegisterService(&kv);
    builder.RegisterService(&health);
    const auto server = builder.BuildAndStart();
    if (!server) {
        return 1;
    }
    std::fputs("ready to serve client requests\n", stderr);
    server->Wait();
}
