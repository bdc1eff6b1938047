// The thread that writes the log, so that no worker ever waits in fdatasync.
//
// submit() adds to what waits; whenever the disk is free the thread takes all of it as one group
// (several, if it exceeds limits::kWalGroupBytesMax): one write, one fdatasync. While it does, the
// next group gathers. That is the group commit: without load a group is one proposal and nobody
// waits for a timer, under load its size is what arrives during one fdatasync.
//
// submit() and take_done() belong to the loop fiber; they hold a lock for some hundred instructions
// and neither suspend nor block on the disk. `done` is rung by the thread after each group. The
// entries' views must stay valid until their group is done.
//
// After the first failure nothing is written any more; the failure is one Done, the last.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "base/tick_clock.h"
#include "consensus/doorbell.h"
#include "consensus/message.h"
#include "storage/wal/wal.h"

namespace sluice::consensus {

// When the groups' stages were, for the time accounts of the proposals in them.
struct GroupStamps {
    std::uint64_t last_index = 0;
    Ticks write_started = 0;
    Ticks written = 0;
    Ticks synced = 0;
};

class LogWriter {
  public:
    struct Work {
        std::vector<LogEntry> entries;
        std::optional<HardState> hard_state;
        std::optional<Configuration> configuration;
        std::optional<SnapshotMark> snapshot;
        std::uint64_t release_to = 0;        // after the snapshot mark is durable
        std::vector<Message> after_persist;  // come back when everything above is durable

        bool empty() const noexcept {
            return entries.empty() && !hard_state && !configuration && !snapshot;
        }
        void merge(Work& newer);
        void clear();
    };
    struct Done {
        Status status;
        std::uint64_t last_index = 0;  // of its entries; 0: had none
        std::uint64_t last_term = 0;
        std::uint64_t released_to = 0;
        std::vector<Message> after_persist;
        GroupStamps stamps;
    };

    // cpus: see NodeOptions::thread_cpus.
    LogWriter(std::unique_ptr<storage::Wal> wal, const TickClock& ticks, Doorbell& done,
              const std::vector<unsigned>& cpus);
    ~LogWriter();  // stop() must have been called

    // Moves the work's content away; merges it with what waits.
    void submit(Work& work);
    // Appends what was finished since the last call.
    void take_done(std::vector<Done>& out);
    // Nothing waits and nothing is being written.
    bool idle() const;
    // Waits for the thread to end; what was not begun is not written. Call when idle() or failed.
    void stop();

    // Wal::replay() may run on another thread while this one writes.
    storage::Wal& wal() noexcept { return *wal_; }

    const HdrHistogram& group_entries() const noexcept { return group_entries_; }
    const HdrHistogram& write_ticks() const noexcept { return write_ticks_; }
    const HdrHistogram& fdatasync_ticks() const noexcept { return fdatasync_ticks_; }
    std::uint64_t payload_bytes() const noexcept {
        return payload_bytes_.load(std::memory_order_relaxed);
    }

  private:
    void run();
    void write_all(Work& work);
    Status write_group(std::span<const LogEntry> entries, Work* state, Done& done);
    void publish(Done done, bool last);

    const std::unique_ptr<storage::Wal> wal_;
    const TickClock& ticks_;
    Doorbell& done_bell_;
    HdrHistogram group_entries_;
    HdrHistogram write_ticks_;
    HdrHistogram fdatasync_ticks_;
    std::atomic<std::uint64_t> payload_bytes_{0};
    bool failed_ = false;  // the thread's own

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    Work waiting_;
    std::vector<Done> finished_;
    bool writing_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace sluice::consensus
