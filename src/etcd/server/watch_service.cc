// The Watch service: one stream of a client, its watchers kept by the hub.
//
// The stream is data. When the hub has something for it, the hub wakes the call; in its
// connection's next turn the stream takes as much as the peer's window and the connection's buffers
// allow.
#include "etcd/server/services.h"
#include "proto/etcdserverpb/watch.pb.h"

namespace sluice::etcd {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;

class WatchCall final : public grpc::ServerStream, private WatchSink {
  public:
    WatchCall(ServiceParts& parts, grpc::CallRef call)
        : call_(std::move(call)), stream_(parts.hub.open_stream(*this)) {}

    void on_message(std::string_view bytes) override {
        WatchRequest request;
        if (!parse_request(call_, bytes, request)) return;
        if (stream_->congested()) {
            stream_.reset();
            return call_->finish(Error(Code::kResourceExhausted,
                                       "etcdserver: the client does not read its watch responses"));
        }
        switch (request.request_union_case()) {
            case WatchRequest::kCreateRequest:
                create(request.create_request());
                break;
            case WatchRequest::kCancelRequest:
                stream_->cancel(request.cancel_request().watch_id());
                break;
            case WatchRequest::kProgressRequest:
                stream_->request_progress();
                break;
            case WatchRequest::REQUEST_UNION_NOT_SET:
                break;  // as in etcd: ignored
        }
    }

    // As in etcd: who sends no more requests still hears of events.
    void on_half_close() override {}

    void on_cancel() override { stream_.reset(); }

    void on_writable() override {
        std::vector<WatchMessage> batch;
        while (stream_ && !call_->done() && call_->unsent_bytes() < limits::kStreamUnsentBytes &&
               stream_->take(batch, limits::kWatchTakeBytes)) {
            for (WatchMessage& message : batch) {
                call_->send(grpc::Message::with_tail(message.prefix(), message.body()));
            }
            batch.clear();
        }
    }

  private:
    void create(const WatchCreateRequest& request) {
        WatchSpec spec;
        // As in etcd: no key means every key from the first on.
        constexpr std::string_view kFirstKey("\0", 1);
        spec.key = request.key().empty() ? kFirstKey : std::string_view(request.key());
        spec.range_end = request.range_end();
        spec.start_revision = request.start_revision();
        spec.watch_id = request.watch_id();
        spec.progress_notify = request.progress_notify();
        spec.prev_kv = request.prev_kv();
        spec.fragment = request.fragment();
        for (const int filter : request.filters()) {
            spec.no_put |= filter == WatchCreateRequest::NOPUT;
            spec.no_delete |= filter == WatchCreateRequest::NODELETE;
        }
        stream_->create(spec);
    }

    void on_messages() noexcept override { call_->wake(); }

    grpc::CallRef call_;
    std::unique_ptr<WatchStream> stream_;
};

}  // namespace

void add_watch_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    registry.stream("/etcdserverpb.Watch/Watch", grpc::MethodKind::kBidiStream,
                    [&parts](grpc::CallRef call) {
                        return std::make_unique<WatchCall>(parts, std::move(call));
                    });
}

}  // namespace sluice::etcd
