// The Maintenance service: Alarm, Status, Defragment, Hash, HashKV, Snapshot.
#include <fmt/core.h>

#include "etcd/server/services.h"
#include "proto/etcdserverpb/maintenance.pb.h"
#include "rt/blocking.h"
#include "storage/mvcc/snapshot.h"
#include "sync/event.h"

namespace sluice::etcd {
namespace {

// Runs `work` on the blocking pool; the metric gets how long it took.
template <class Work>
auto timed(ServiceParts& parts, metrics::Histogram& seconds, Work&& work) {
    const TimeNs began = parts.clock.now_ns();
    auto result = rt::blocking(std::forward<Work>(work));
    seconds.observe(static_cast<double>(parts.clock.now_ns() - began) / kSecond);
    return result;
}

class MaintenanceService {
  public:
    explicit MaintenanceService(ServiceParts& parts) : parts_(parts) {}

    void alarm(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::AlarmRequest request;
        if (!parse_request(call, bytes, request)) return;
        parts_.proposer.submit(EntryKind::kAlarm, std::move(call), std::string(bytes));
    }

    void status(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::StatusRequest request;
        if (!parse_request(call, bytes, request)) return;
        call->run([this, call] {
            call->finish(grpc::Message::of(rt::blocking([&] { return read_status(); })));
        });
    }

    void defragment(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::DefragmentRequest request;
        if (!parse_request(call, bytes, request)) return;
        call->run([this, call] {
            parts_.metrics.defragmenting.add();
            const Status done = timed(parts_, parts_.metrics.defragment,
                                      [&] { return parts_.store.compact_range(); });
            parts_.metrics.defragmenting.sub();
            if (!done) return call->finish(done.error());
            call->finish(grpc::Message::of(etcdserverpb::DefragmentResponse()));
        });
    }

    void hash(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::HashRequest request;
        if (!parse_request(call, bytes, request)) return;
        call->run([this, call] {
            const auto hashed =
                timed(parts_, parts_.metrics.hash, [&] { return parts_.store.hash(); });
            if (!hashed) return call->finish(hashed.error());
            etcdserverpb::HashResponse response;
            fill(response);
            response.set_hash(*hashed);
            call->finish(grpc::Message::of(response));
        });
    }

    void hash_kv(grpc::CallRef call, std::string_view bytes) {
        etcdserverpb::HashKVRequest request;
        if (!parse_request(call, bytes, request)) return;
        call->run([this, call, revision = request.revision()] {
            const auto hashed = timed(parts_, parts_.metrics.hash_revision,
                                      [&] { return parts_.store.hash_kv(revision); });
            if (!hashed) return call->finish(hashed.error());
            etcdserverpb::HashKVResponse response;
            parts_.identity.fill(response.mutable_header(), hashed->store_revision);
            response.set_hash(hashed->hash);
            response.set_compact_revision(hashed->compact_revision);
            response.set_hash_revision(hashed->hash_revision);
            call->finish(grpc::Message::of(response));
        });
    }

  private:
    template <class Response>
    void fill(Response& response) {
        parts_.identity.fill(response.mutable_header(), parts_.store.current_revision());
    }

    etcdserverpb::StatusResponse read_status() {
        const consensus::Node::View view = parts_.node.view();
        etcdserverpb::StatusResponse response;
        fill(response);
        response.set_version(std::string(kEtcdVersion));
        response.set_dbsize(static_cast<std::int64_t>(parts_.store.size_bytes()));
        response.set_dbsizeinuse(static_cast<std::int64_t>(parts_.store.size_in_use_bytes()));
        response.set_dbsizequota(static_cast<std::int64_t>(parts_.options.quota_bytes));
        response.set_leader(view.leader_id);
        response.set_raftindex(view.commit_index);
        response.set_raftterm(view.term);
        response.set_raftappliedindex(view.applied_index);
        response.set_storageversion("3.6.0");
        response.mutable_downgradeinfo();
        for (const RaisedAlarm& alarm : parts_.alarms.list(AlarmType::NONE)) {
            // The text that etcd's protobuf library prints for an AlarmMember.
            response.add_errors(fmt::format("memberID:{} alarm:{} ", alarm.member_id,
                                            etcdserverpb::AlarmType_Name(alarm.type)));
        }
        return response;
    }

    ServiceParts& parts_;
};

// A snapshot goes out piece by piece: the next is read only when the peer has taken most of the
// last.
class SnapshotCall final : public grpc::ServerStream {
  public:
    SnapshotCall(ServiceParts& parts, grpc::CallRef call) : parts_(parts), call_(std::move(call)) {}

    void on_message(std::string_view bytes) override {
        etcdserverpb::SnapshotRequest request;
        if (!parse_request(call_, bytes, request)) return;
        call_->run([&parts = parts_, call = call_, room = room_] {
            const TimeNs began = parts.clock.now_ns();
            const Status sent = send_all(parts, *call, *room);
            parts.metrics.snapshot.observe(static_cast<double>(parts.clock.now_ns() - began) /
                                           kSecond);
            if (sent) {
                call->finish_ok();
            } else {
                call->finish(sent.error());
            }
        });
    }
    void on_half_close() override {}
    void on_cancel() override { room_->signal(); }
    void on_writable() override { room_->signal(); }

  private:
    static Status send_all(ServiceParts& parts, grpc::Call& call, sync::Notify& room) {
        auto opened = rt::blocking([&] { return parts.store.snapshot(); });
        if (!opened) return fail(opened.error());
        storage::SnapshotReader& reader = **opened;
        etcdserverpb::SnapshotResponse response;
        response.set_version(std::string(kEtcdClusterVersion));
        Status read;
        while (reader.remaining() > 0 && read && !call.done()) {
            read = rt::blocking(
                [&] { return reader.next(limits::kSnapshotChunkBytes, *response.mutable_blob()); });
            if (!read) break;
            response.set_remaining_bytes(reader.remaining());
            if (!call.send(grpc::Message::of(response))) (void)room.wait();
        }
        rt::blocking([&] { opened->reset(); });
        return read;
    }

    ServiceParts& parts_;
    grpc::CallRef call_;
    std::shared_ptr<sync::Notify> room_ = std::make_shared<sync::Notify>();
};

}  // namespace

void add_maintenance_service(grpc::ServiceRegistry& registry, ServiceParts& parts) {
    auto service = std::make_shared<MaintenanceService>(parts);
    const auto add = [&](std::string_view path,
                         void (MaintenanceService::*method)(grpc::CallRef, std::string_view)) {
        registry.unary(path, [service, method](grpc::CallRef call, std::string_view bytes) {
            (service.get()->*method)(std::move(call), bytes);
        });
    };
    add("/etcdserverpb.Maintenance/Alarm", &MaintenanceService::alarm);
    add("/etcdserverpb.Maintenance/Status", &MaintenanceService::status);
    add("/etcdserverpb.Maintenance/Defragment", &MaintenanceService::defragment);
    add("/etcdserverpb.Maintenance/Hash", &MaintenanceService::hash);
    add("/etcdserverpb.Maintenance/HashKV", &MaintenanceService::hash_kv);
    registry.stream("/etcdserverpb.Maintenance/Snapshot", grpc::MethodKind::kServerStream,
                    [&parts](grpc::CallRef call) {
                        return std::make_unique<SnapshotCall>(parts, std::move(call));
                    });
}

}  // namespace sluice::etcd
