// The etcd face of one member: the log, the store and the services, put together, started and
// stopped.
//
//   EtcdServer server(options, world);
//   SLUICE_TRY(server.open());              // before the runtime: blocks on the disk
//   runtime.run([&] {
//       const Status started = server.start();   // replays, leads, listens
//       if (started) wait_for_a_signal();
//       server.stop(deadline_ns);
//   });
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/tick_clock.h"
#include "base/time_account.h"
#include "consensus/data_directory.h"
#include "consensus/node.h"
#include "etcd/server/background.h"
#include "etcd/server/services.h"
#include "etcd/server/state_machine.h"
#include "io/address.h"
#include "io/file.h"
#include "net/grpc/grpc_protocol.h"
#include "net/server/http_router.h"
#include "net/server/server.h"
#include "storage/wal/wal.h"

namespace sluice::etcd {

struct EtcdServerOptions {
    ServiceOptions service;
    std::vector<io::Address> listen;
    std::string data_dir;
    std::string wal_dir;  // empty: inside data_dir
    std::string cluster_token;
    bool must_exist = false;       // refuse to make a new data directory
    bool unsafe_no_fsync = false;  // of the log: see WalOptions
    std::uint64_t snapshot_count = 10'000;
    std::uint64_t memory_limit_bytes = 128ull << 20;
    std::uint64_t heartbeat_interval_ms = 100;
    std::uint64_t election_timeout_ms = 1'000;
    TimeNs watch_progress_interval_ns = 600 * kSecond;
    std::uint32_t max_concurrent_streams = UINT32_MAX;
    TimeNs keepalive_min_time_ns = 5 * kSecond;
    TimeNs keepalive_interval_ns = 7200 * kSecond;
    TimeNs keepalive_timeout_ns = 20 * kSecond;
    AutoCompaction auto_compaction;
    std::vector<unsigned> thread_cpus;  // see consensus::NodeOptions
};

// The world around it; all of it outlives the server.
struct EtcdServerWorld {
    io::FileSystem& fs;
    const Clock& clock;
    const TickClock& ticks;
    const Logger& log;
    metrics::Registry& metrics;
    net::HttpRouter& http;  // the server adds its own endpoints
    unsigned worker_slots;  // rt::Runtime::worker_slots()
};

class EtcdServer {
  public:
    EtcdServer(EtcdServerOptions options, EtcdServerWorld world);
    ~EtcdServer();  // stopped
    EtcdServer(const EtcdServer&) = delete;
    EtcdServer& operator=(const EtcdServer&) = delete;

    // Takes the data directory, opens the log and the store. Blocks on the disk; on any thread,
    // first.
    Status open();
    // Replays the log, starts serving. On a fiber; returns when clients are served.
    Status start();
    // Drains and stops. On the fiber that started it.
    void stop(TimeNs deadline_ns);

    const std::vector<io::Address>& addresses() const noexcept { return addresses_; }

  private:
    consensus::NodeOptions node_options() const;
    Status open_files();
    Status restore_meta();
    Status start_node();
    void start_services();
    class Protocols;

    EtcdServerOptions options_;
    EtcdServerWorld world_;
    Identity identity_;
    std::unique_ptr<consensus::DataDirectory> directory_;
    std::unique_ptr<storage::Wal> log_;  // from open() to start()
    std::unique_ptr<storage::MvccStore> store_;
    OperationMetrics metrics_;
    RequestTimeouts timeouts_;
    Proposer proposer_;
    std::unique_ptr<Lessor> lessor_;
    Alarms alarms_;
    std::unique_ptr<Quota> quota_;
    MemoryBudget range_bytes_{limits::kRangeBytesInFlight};
    std::unique_ptr<StoreHistory> history_;
    std::unique_ptr<Background> background_;
    std::unique_ptr<WatchHub> hub_;
    std::unique_ptr<StateMachine> state_machine_;
    std::unique_ptr<consensus::Node> node_;
    std::unique_ptr<ServiceParts> parts_;
    grpc::ServiceRegistry services_;
    StageHistograms stages_;
    std::unique_ptr<Protocols> protocols_;
    std::unique_ptr<net::Server> server_;
    std::vector<io::Address> addresses_;
};

}  // namespace sluice::etcd
