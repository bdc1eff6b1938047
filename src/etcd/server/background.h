// The server's own work, each on a fiber of its own that sleeps until there is something to do:
// answering requests that time out, expiring leases, watchers that are behind, progress
// notifications, removing what a compaction made garbage, compacting by itself.
//
// An idle server wakes for none of them.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "etcd/lessor.h"
#include "etcd/server/operation_metrics.h"
#include "etcd/server/proposer.h"
#include "etcd/watch_hub.h"
#include "storage/mvcc/store.h"
#include "sync/context.h"
#include "sync/event.h"
#include "sync/group.h"

namespace sluice::etcd {

struct AutoCompaction {
    enum class Mode : std::uint8_t { kOff, kPeriodic, kRevision };
    Mode mode = Mode::kOff;
    TimeNs period_ns = 0;             // kPeriodic: history to keep
    storage::Revision revisions = 0;  // kRevision: revisions to keep
};

// Reads the past for the hub. On the hub's catch-up fiber: memory first, else the blocking pool.
class StoreHistory final : public WatchHistory {
  public:
    explicit StoreHistory(const storage::MvccStore& store) : store_(store) {}
    Result<HistorySlice> read(Revision from, Revision to, const std::vector<HistoryRange>& ranges,
                              std::size_t bytes_max) override;
    Revision compacted_revision() const override { return store_.compacted_revision(); }

  private:
    const storage::MvccStore& store_;
};

class Background final : public WatchScheduler {
  public:
    struct Parts {
        storage::MvccStore& store;
        Lessor& lessor;
        Proposer& proposer;
        RequestTimeouts& timeouts;
        OperationMetrics& metrics;
        const Clock& clock;
        const Logger& log;
        AutoCompaction compaction;
    };
    explicit Background(Parts parts) : parts_(parts), group_(nullptr) {}

    // On a fiber. stop() ends and joins them; call it before what they use goes.
    void start(WatchHub& hub);
    void stop();

    // WatchScheduler; any thread, never suspends.
    void catch_up_wanted() noexcept override { catch_up_.signal(); }
    void progress_wanted(TimeNs deadline_ns) noexcept override;

    void leases_changed() noexcept { leases_.signal(); }
    void garbage_made() noexcept { garbage_.signal(); }

  private:
    void run_catch_up(WatchHub& hub);
    void run_progress(WatchHub& hub);
    void run_expiry();
    void run_garbage();
    void run_compaction();
    void compact_at(storage::Revision revision);

    Parts parts_;
    sync::Group group_;
    sync::Notify catch_up_;
    sync::Notify progress_;
    sync::Notify leases_;
    sync::Notify garbage_;
};

}  // namespace sluice::etcd
