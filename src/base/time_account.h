// The time account of one request: where its time went, stage by stage, always on.
//
// A TimeAccount is a small POD that travels with the request. begin() opens it at the moment the
// request's bytes were there; charge(stage, at) books everything since the last stamp to that
// stage, so the stages always add up to the whole: nothing is counted twice and nothing is lost.
// Stamps that many requests share (a log batch's write and fdatasync) are taken once and charged to
// each. A stage may be charged several times; the parts add up.
//
// StageHistograms collects finished accounts: one histogram a stage and shard. A shard has one
// writer at a time: use the worker's index, and an own shard for every thread that is no worker.
//
// Nothing here blocks, suspends or allocates (StageHistograms' constructor does). Cost: a stamp is
// TickClock::now() plus 1 ns; record() of a finished account is 2-3 ns for each stage that was
// charged (base_bench: BM_TimeAccount*).
//
//   TimeAccount account;
//   account.begin(received_at);                       // bytes arrived
//   account.charge(Stage::kRunQueue, ticks.now());    // the fiber runs
//   ... parse ...
//   account.charge(Stage::kParse, ticks.now());
//   account.charge(Stage::kLogQueue, group.started);  // the log writer's stamps of the group
//   account.charge(Stage::kLogWrite, group.written);
//   account.charge(Stage::kFsync, group.synced);
//   stages.record(worker_index, account);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/histogram.h"
#include "base/metrics.h"
#include "base/tick_clock.h"

namespace sluice {

// In the order in which a write meets them; a read skips the log.
enum class Stage : std::uint8_t {
    kRunQueue,   // the bytes were there, the fiber was not running yet
    kParse,      // frames, headers, protobuf, checks
    kLogQueue,   // proposed, waiting for the log batch
    kLogWrite,   // the batch's write
    kFsync,      // the batch's fdatasync
    kApply,      // committed entries into the store, and the wait for it
    kRead,       // reading the store
    kSerialise,  // protobuf and frames of the response
    kSend,       // the answer made, waiting for the connection's turn and for the turn's write
};
inline constexpr std::size_t kStageCount = 9;

// "run_queue", "parse", ...: the value of the label `stage`.
std::string_view stage_name(Stage stage) noexcept;

class TimeAccount {
  public:
    void begin(Ticks at) noexcept {
        begun_ = last_ = at;
        spent_.fill(0);
        charged_ = 0;
    }

    // Books the time since the last stamp. A stamp from before the last one (another processor's
    // counter, a batch that had started earlier) books no time and moves nothing.
    void charge(Stage stage, Ticks at) noexcept {
        charged_ |= 1u << static_cast<unsigned>(stage);
        const auto difference = static_cast<std::int64_t>(at - last_);
        if (difference <= 0) return;
        spent_[static_cast<std::size_t>(stage)] += static_cast<std::uint64_t>(difference);
        last_ = at;
    }

    Ticks spent(Stage stage) const noexcept { return spent_[static_cast<std::size_t>(stage)]; }
    // The request has met the stage, for however short a time.
    bool met(Stage stage) const noexcept { return charged_ >> static_cast<unsigned>(stage) & 1u; }
    Ticks total() const noexcept { return last_ - begun_; }
    Ticks last() const noexcept { return last_; }

  private:
    Ticks begun_ = 0;
    Ticks last_ = 0;
    std::array<Ticks, kStageCount> spent_{};
    std::uint32_t charged_ = 0;  // bit for each stage
};

class StageHistograms {
  public:
    // `ticks` must outlive this object. shards: rt::Runtime::worker_slots(), plus the threads that
    // record.
    StageHistograms(const TickClock& ticks, unsigned shards);

    void record(unsigned shard, const TimeAccount& account) noexcept;

    // A stage (or the whole request) over all shards, in nanoseconds.
    HdrHistogram merged(Stage stage) const noexcept;
    HdrHistogram merged_total() const noexcept;

    // Adds `sluice_request_stage_duration_seconds{stage=...}` and
    // `sluice_request_duration_seconds` to the registry; this object must outlive it.
    void export_to(metrics::Registry& registry) const;

  private:
    struct Shard {
        std::array<HdrHistogram, kStageCount> stages;
        HdrHistogram total;
    };

    const TickClock& ticks_;
    const unsigned shard_count_;
    std::unique_ptr<Shard[]> shards_;
};

}  // namespace sluice
