#include "base/time_account.h"

#include "base/limits.h"

namespace sluice {
namespace {

// Scraped buckets: powers of four from 1 us to 4.3 s. The histograms below them are finer.
metrics::HistogramSnapshot to_seconds(const HdrHistogram& histogram) {
    metrics::HistogramSnapshot result;
    result.bounds = metrics::exponential_bounds(1e-6, 4, 12);
    std::uint64_t before = 0;
    for (const double bound : result.bounds) {
        const auto up_to = histogram.count_at_most(static_cast<std::uint64_t>(bound * 1e9));
        SLUICE_ASSERT(up_to >= before);
        result.counts.push_back(up_to - before);
        before = up_to;
    }
    result.counts.push_back(histogram.count() - before);
    result.sum = static_cast<double>(histogram.sum()) / 1e9;
    return result;
}

}  // namespace

std::string_view stage_name(Stage stage) noexcept {
    static constexpr std::array<std::string_view, kStageCount> kNames = {
        "run_queue", "parse", "log_queue", "log_write", "fsync",
        "apply",     "read",  "serialise", "send"};
    return kNames[static_cast<std::size_t>(stage)];
}

StageHistograms::StageHistograms(const TickClock& ticks, unsigned shards)
    : ticks_(ticks), shard_count_(shards), shards_(std::make_unique<Shard[]>(shards)) {
    SLUICE_CHECK(shards > 0);
    SLUICE_CHECK(shards <= limits::kStageShardsMax);
}

void StageHistograms::record(unsigned shard, const TimeAccount& account) noexcept {
    SLUICE_ASSERT(shard < shard_count_);
    Shard& mine = shards_[shard];
    for (std::size_t i = 0; i < kStageCount; ++i) {
        const auto stage = static_cast<Stage>(i);
        if (!account.met(stage)) continue;
        mine.stages[i].record(static_cast<std::uint64_t>(ticks_.to_ns(account.spent(stage))));
    }
    mine.total.record(static_cast<std::uint64_t>(ticks_.to_ns(account.total())));
}

HdrHistogram StageHistograms::merged(Stage stage) const noexcept {
    HdrHistogram result;
    for (unsigned i = 0; i < shard_count_; ++i)
        result.merge(shards_[i].stages[static_cast<std::size_t>(stage)]);
    return result;
}

HdrHistogram StageHistograms::merged_total() const noexcept {
    HdrHistogram result;
    for (unsigned i = 0; i < shard_count_; ++i) result.merge(shards_[i].total);
    return result;
}

void StageHistograms::export_to(metrics::Registry& registry) const {
    registry.add_source([this](metrics::Visitor& visitor) {
        visitor.family("sluice_request_stage_duration_seconds",
                       "Where the time of client requests went, by stage.",
                       metrics::Type::kHistogram);
        for (std::size_t i = 0; i < kStageCount; ++i) {
            const auto stage = static_cast<Stage>(i);
            visitor.histogram({{"stage", std::string(stage_name(stage))}},
                              to_seconds(merged(stage)));
        }
        visitor.family("sluice_request_duration_seconds",
                       "Time of client requests from their bytes' arrival to the response's write.",
                       metrics::Type::kHistogram);
        visitor.histogram({}, to_seconds(merged_total()));
    });
}

}  // namespace sluice
