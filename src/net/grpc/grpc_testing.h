// A gRPC server for tests: a ServerBox, a registry filled by the test, and the protocol between.
//
//   GrpcBox box({.poller = "epoll"}, [](ServiceRegistry& services) { services.unary(...); });
//   TestClient client(box.port());
#pragma once

#include <functional>
#include <memory>

#include "net/grpc/grpc_protocol.h"
#include "net/server/server_testing.h"

namespace sluice::grpc {

class GrpcBox final : private net::ProtocolFactory {
  public:
    struct Options {
        const char* poller = "epoll";
        unsigned workers = 2;
        net::ServerConfig server = {};
        http2::SessionConfig session = {};
        std::uint32_t receive_bytes_max = limits::kGrpcReceiveBytesMax;
    };
    GrpcBox(const Options& options, const std::function<void(ServiceRegistry&)>& fill)
        : ticks_(clock_), stages_(ticks_, options.workers) {
        fill(services_);
        config_ = std::make_unique<GrpcConfig>(
            GrpcConfig{services_, ticks_, stages_, options.receive_bytes_max, options.session, {}});
        config_->session.shared_fields = &config_->response.fields;
        server_ = std::make_unique<net::ServerBox>(
            net::ServerBoxOptions{
                .poller = options.poller, .workers = options.workers, .server = options.server},
            static_cast<net::ProtocolFactory&>(*this));
    }

    net::ServerBox& server() { return *server_; }
    std::uint16_t port() const { return server_->port(); }

  private:
    std::unique_ptr<net::Protocol> http1(net::Connection&) override { return nullptr; }
    std::unique_ptr<net::Protocol> http2(net::Connection& connection, TimeNs now) override {
        return std::make_unique<GrpcProtocol>(connection, *config_, now);
    }

    SystemClock clock_;
    TickClock ticks_;
    ServiceRegistry services_;
    StageHistograms stages_;
    std::unique_ptr<GrpcConfig> config_;
    std::unique_ptr<net::ServerBox> server_;
};

}  // namespace sluice::grpc
