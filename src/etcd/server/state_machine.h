// What the replicated log drives: entries go into the store in order, one commit a group; then
// watchers hear of them, and then the waiting clients are answered.
//
// All of it runs on the node's applier fiber. A put is in the log before it gets here, so nothing
// may fail but the machine: an engine that cannot write stops the process.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/log.h"
#include "consensus/node.h"
#include "etcd/server/entry_applier.h"
#include "etcd/server/proposer.h"
#include "etcd/watch_hub.h"
#include "storage/mvcc/store.h"

namespace sluice::etcd {

class StateMachine final : public consensus::StateMachine {
  public:
    struct Parts {
        storage::MvccStore& store;
        Lessor& lessor;
        Alarms& alarms;
        WatchHub& hub;
        Identity& identity;
        const Logger& log;
        const TickClock& ticks;
        OperationMetrics& metrics;
        // Told after a compaction is visible; starts the removal of what it made garbage.
        std::function<void()> on_compacted;
        // Told when leases may have been granted: their clock must be looked at.
        std::function<void()> on_lease_granted;
    };
    explicit StateMachine(Parts parts);

    std::uint64_t applied_index() const override { return parts_.store.applied_index(); }
    void apply(std::span<const consensus::CommittedEntry> entries) override;
    void snapshot_due(std::uint64_t applied_index) override;
    void log_failed(const Error& why) override;

  private:
    struct Answer {
        PendingRequest* request;
        Result<grpc::Message> response;
    };

    void apply_one(const consensus::CommittedEntry& entry);
    void commit(const consensus::CommittedEntry& last);
    void publish();
    void reply();
    [[noreturn]] void stop_process(const Error& why);

    Parts parts_;
    storage::Applier batch_;
    EntryApplier applier_;
    std::vector<storage::EventBatch> events_;  // of the group, not yet visible
    std::vector<Answer> answers_;
    bool lease_granted_ = false;
};

}  // namespace sluice::etcd
