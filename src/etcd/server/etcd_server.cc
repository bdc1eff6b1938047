#include "etcd/server/etcd_server.h"

#include <random>
#include <thread>

#include "base/limits.h"
#include "etcd/member_identity.h"
#include "etcd/server/http_endpoints.h"
#include "etcd/server/server_metrics.h"
#include "net/server/http1_protocol.h"
#include "rt/blocking.h"

namespace sluice::etcd {
namespace {

std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

grpc::GrpcConfig grpc_config(const EtcdServerOptions& options, const EtcdServerWorld& world,
                             const grpc::ServiceRegistry& services, StageHistograms& stages) {
    grpc::GrpcConfig config{services, world.ticks, stages, {}, {}, {}};
    // As etcd does: the request limit and room for what surrounds a request.
    constexpr std::uint32_t kMessageOverheadBytes = 512 << 10;
    config.receive_bytes_max = options.service.request_bytes_max + kMessageOverheadBytes;
    config.session.streams_max =
        std::min(options.max_concurrent_streams, config.session.streams_max);
    config.session.keepalive.min_interval_ns = options.keepalive_min_time_ns;
    return config;
}

// As etcd's: five seconds for the disk and the network, and two elections.
TimeNs request_timeout_ns(const EtcdServerOptions& options) {
    return limits::kRequestTimeoutNs +
           2 * static_cast<TimeNs>(options.election_timeout_ms) * kMillisecond;
}

}  // namespace

// Makes the protocol objects of new connections.
class EtcdServer::Protocols final : public net::ProtocolFactory {
  public:
    Protocols(grpc::GrpcConfig config, const net::HttpRouter& router)
        : config_(std::move(config)), router_(router) {
        config_.session.shared_fields = &config_.response.fields;
    }
    std::unique_ptr<net::Protocol> http1(net::Connection& connection) override {
        return std::make_unique<net::Http1Protocol>(connection, router_);
    }
    std::unique_ptr<net::Protocol> http2(net::Connection& connection, TimeNs now) override {
        return std::make_unique<grpc::GrpcProtocol>(connection, config_, now);
    }

  private:
    grpc::GrpcConfig config_;
    const net::HttpRouter& router_;
};

EtcdServer::EtcdServer(EtcdServerOptions options, EtcdServerWorld world)
    : options_(std::move(options)),
      world_(world),
      metrics_(world.metrics),
      timeouts_(world.clock, world.ticks, request_timeout_ns(options_), world.worker_slots),
      proposer_({.request_bytes_max = options_.service.request_bytes_max}, timeouts_),
      stages_(world.ticks, world.worker_slots) {}

EtcdServer::~EtcdServer() = default;

Status EtcdServer::open() {
    const MemberIdentity if_new =
        derive_identity(options_.service.peer_urls, options_.cluster_token);
    SLUICE_TRY_ASSIGN(directory_,
                      consensus::DataDirectory::open(
                          world_.fs, options_.data_dir,
                          {.member_id = if_new.member_id, .cluster_id = if_new.cluster_id}));
    if (options_.must_exist && directory_->created()) {
        return sluice::fail(Code::kFailedPrecondition,
                            "joining an existing cluster is not supported yet, and there is no "
                            "member in " +
                                options_.data_dir);
    }
    if (options_.unsafe_no_fsync) {
        world_.log.warn("the log is not synced: acknowledged writes can be lost with the power");
    }
    identity_.member_id = directory_->identity().member_id;
    identity_.cluster_id = directory_->identity().cluster_id;
    SLUICE_TRY(open_files());
    const TimeNs heartbeat_ns = static_cast<TimeNs>(options_.heartbeat_interval_ms) * kMillisecond;
    const int ticks =
        static_cast<int>(options_.election_timeout_ms / options_.heartbeat_interval_ms);
    lessor_ = std::make_unique<Lessor>(
        LessorOptions{.min_ttl_s = min_lease_ttl_s(ticks, heartbeat_ns)}, world_.clock);
    return restore_meta();
}

consensus::NodeOptions EtcdServer::node_options() const {
    consensus::NodeOptions node;
    node.wal_dir = options_.wal_dir.empty() ? directory_->wal_dir() : options_.wal_dir;
    node.fs = &world_.fs;
    node.ticks = &world_.ticks;
    node.member_id = identity_.member_id;
    node.initial_voters = {identity_.member_id};
    node.snapshot_count = options_.snapshot_count;
    node.unsafe_no_fsync = options_.unsafe_no_fsync;
    node.thread_cpus = options_.thread_cpus;
    return node;
}

// The log's syncs and the store's files side by side: neither needs the other. A store that a
// failure leaves behind is empty, or was there before.
Status EtcdServer::open_files() {
    Result<std::unique_ptr<storage::Wal>> log;
    std::jthread log_opener([&] {
        const Status durable = directory_->make_durable(options_.wal_dir.empty());
        log = durable ? consensus::Node::open_log(node_options()) : sluice::fail(durable.error());
    });
    auto store = storage::MvccStore::open(
        {.dir = directory_->store_dir(), .memory_limit_bytes = options_.memory_limit_bytes});
    log_opener.join();
    SLUICE_TRY_ASSIGN(log_, std::move(log));
    SLUICE_TRY_ASSIGN(store_, std::move(store));
    return {};
}

// Leases and alarms, as the store's meta records have them.
Status EtcdServer::restore_meta() {
    Status restored;
    const auto keep_first = [&](const Status& status) {
        if (restored && !status) restored = status;
    };
    SLUICE_TRY(
        store_->scan_meta(kLeaseRecordPrefix, [&](std::string_view key, std::string_view value) {
            const auto record = decode_lease_record(key, value);
            if (!record) return keep_first(sluice::fail(record.error()));
            lessor_->restore(record->first, record->second);
        }));
    SLUICE_TRY(store_->scan_meta(kAlarmRecordPrefix, [&](std::string_view key, std::string_view) {
        const auto alarm = decode_alarm_record(key);
        if (!alarm) return keep_first(sluice::fail(alarm.error()));
        alarms_.activate(*alarm);
    }));
    return restored;
}

Status EtcdServer::start() {
    SLUICE_TRY(start_node());
    start_services();
    net::ServerConfig config;
    config.keepalive_interval_ns = options_.keepalive_interval_ns;
    config.keepalive_timeout_ns = options_.keepalive_timeout_ns;
    server_ = std::make_unique<net::Server>(config, *protocols_, world_.clock, world_.ticks);
    add_server_metrics(world_.metrics, *parts_, services_, *server_);
    stages_.export_to(world_.metrics);
    for (const io::Address& address : options_.listen) {
        const Result<io::Address> bound = server_->listen(address);
        if (!bound) {
            return sluice::fail(bound.error().with_context("listen on " + address.to_string()));
        }
        addresses_.push_back(*bound);
    }
    return {};
}

Status EtcdServer::start_node() {
    history_ = std::make_unique<StoreHistory>(*store_);
    background_ = std::make_unique<Background>(
        Background::Parts{*store_, *lessor_, proposer_, timeouts_, metrics_, world_.clock,
                          world_.log, options_.auto_compaction});
    WatchOptions watch;
    watch.cluster_id = identity_.cluster_id;
    watch.member_id = identity_.member_id;
    watch.revision = store_->current_revision();
    watch.compacted = store_->compacted_revision();
    watch.progress_interval_ns = options_.watch_progress_interval_ns;
    watch.seed = random_seed();
    hub_ = std::make_unique<WatchHub>(watch, world_.clock, *history_, *background_);
    state_machine_ = std::make_unique<StateMachine>(StateMachine::Parts{
        *store_, *lessor_, alarms_, *hub_, identity_, world_.log, world_.ticks, metrics_,
        [this] { background_->garbage_made(); }, [this] { background_->leases_changed(); }});

    SLUICE_TRY_ASSIGN(node_,
                      consensus::Node::open(node_options(), *state_machine_, std::move(log_)));
    const auto& recovered = node_->recovered();
    world_.log.info("recovered from the log", {{"last_index", recovered.last_index},
                                               {"applied_index", recovered.applied_index},
                                               {"cut_bytes", recovered.cut_bytes},
                                               {"segments", recovered.segments}});
    store_->on_durable([this](std::uint64_t index) { node_->mark_durable(index); });
    SLUICE_TRY(node_->wait_ready(kNever));
    proposer_.attach(node_.get());
    lessor_->promote();
    background_->start(*hub_);
    background_->leases_changed();
    return {};
}

void EtcdServer::start_services() {
    hub_->set_raft_term(node_->view().term);
    quota_ = std::make_unique<Quota>(
        Quota::Parts{*store_, proposer_, identity_, world_.log, options_.service.quota_bytes});
    parts_ = std::make_unique<ServiceParts>(ServiceParts{
        options_.service, *store_, *node_, proposer_, *lessor_, alarms_, *quota_, *hub_, identity_,
        metrics_, range_bytes_, world_.ticks, world_.clock, world_.log});
    add_kv_service(services_, *parts_);
    add_watch_service(services_, *parts_);
    add_lease_service(services_, *parts_);
    add_maintenance_service(services_, *parts_);
    add_cluster_service(services_, *parts_);
    add_health_service(services_, *parts_);
    add_http_endpoints(world_.http, *parts_);
    protocols_ =
        std::make_unique<Protocols>(grpc_config(options_, world_, services_, stages_), world_.http);
}

void EtcdServer::stop(TimeNs deadline_ns) {
    if (server_) server_->stop(deadline_ns);
    if (background_ && node_) background_->stop();
    if (node_) node_->stop();
    if (server_)
        server_->join();  // the calls in flight have been told; the store is theirs till now
    if (quota_) quota_->join();
    proposer_.attach(nullptr);
    state_machine_.reset();
    // Closing the store flushes it, and the flush is reported to the node: that goes last.
    rt::blocking([this] { store_.reset(); });
    node_.reset();
}

}  // namespace sluice::etcd
