// Any bytes as any request of etcd's services (the first byte chooses): parsed, checked, and handed
// to what works on requests without a store. Nothing may crash, hang or loop.
#include <google/protobuf/arena.h>
#include <google/protobuf/descriptor.h>

#include <memory>
#include <string_view>
#include <vector>

#include "etcd/checks.h"
#include "etcd/lessor.h"
#include "etcd/watch_hub.h"
#include "etcd/watch_testing.h"
#include "proto/etcdserverpb/auth.pb.h"
#include "proto/etcdserverpb/cluster.pb.h"
#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "proto/etcdserverpb/watch.pb.h"
#include "proto/grpc/health.pb.h"
#include "proto/sluice/internal.pb.h"
#include "proto/v3electionpb/election.pb.h"
#include "proto/v3lockpb/lock.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

constexpr int kMaxTxnOps = 128;

// The request types of every method of every service, and the log's own.
std::vector<const Message*> request_types() {
    std::vector<const Message*> types = {&internal::Request::default_instance()};
    const FileDescriptor* files[] = {pb::RangeRequest::descriptor()->file(),
                                     pb::WatchRequest::descriptor()->file(),
                                     pb::LeaseGrantRequest::descriptor()->file(),
                                     pb::MemberListRequest::descriptor()->file(),
                                     pb::StatusRequest::descriptor()->file(),
                                     pb::AuthEnableRequest::descriptor()->file(),
                                     v3lockpb::LockRequest::descriptor()->file(),
                                     v3electionpb::CampaignRequest::descriptor()->file(),
                                     grpc::health::v1::HealthCheckRequest::descriptor()->file()};
    for (const FileDescriptor* file : files) {
        for (int s = 0; s < file->service_count(); ++s) {
            for (int m = 0; m < file->service(s)->method_count(); ++m) {
                types.push_back(MessageFactory::generated_factory()->GetPrototype(
                    file->service(s)->method(m)->input_type()));
            }
        }
    }
    return types;
}

void create_watcher(const pb::WatchCreateRequest& request) {
    WatchWorld world;
    world.put("a", "1");
    WatchClient client(world);
    client.stream().create({.key = request.key(),
                            .range_end = request.range_end(),
                            .start_revision = request.start_revision(),
                            .watch_id = request.watch_id(),
                            .progress_notify = request.progress_notify(),
                            .prev_kv = request.prev_kv(),
                            .fragment = request.fragment()});
    world.put("b", "1");
    world.catch_up();
    client.read_all();
    if (client.responses().empty() || !client.responses().front().created()) std::abort();
}

void use(const Message& message) {
    if (const auto* range = dynamic_cast<const pb::RangeRequest*>(&message)) {
        (void)check(to_view(*range));
        (void)check_range_stream(*range);
    } else if (const auto* put = dynamic_cast<const pb::PutRequest*>(&message)) {
        (void)check(to_view(*put));
    } else if (const auto* gone = dynamic_cast<const pb::DeleteRangeRequest*>(&message)) {
        (void)check(to_view(*gone));
    } else if (const auto* txn = dynamic_cast<const pb::TxnRequest*>(&message)) {
        (void)check_txn(*txn, kMaxTxnOps);
        (void)is_read_only(*txn);
    } else if (const auto* watch = dynamic_cast<const pb::WatchRequest*>(&message)) {
        if (watch->has_create_request()) create_watcher(watch->create_request());
    } else if (const auto* grant = dynamic_cast<const pb::LeaseGrantRequest*>(&message)) {
        ManualClock clock;
        Lessor lessor({}, clock);
        lessor.promote();
        const auto prepared = lessor.prepare(grant->id(), grant->ttl(), 1);
        if (prepared && !lessor.grant(prepared->id, prepared->ttl_s)) std::abort();
    }
}

}  // namespace
}  // namespace sluice::etcd

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
    static const auto& types = *new std::vector(sluice::etcd::request_types());
    if (size == 0) return 0;
    google::protobuf::Arena arena;
    google::protobuf::Message* message = types[data[0] % types.size()]->New(&arena);
    if (message->ParseFromArray(data + 1, static_cast<int>(size - 1))) sluice::etcd::use(*message);
    return 0;
}
