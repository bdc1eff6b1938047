#include "base/time_account.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

class ManualClock final : public Clock {
  public:
    TimeNs now_ns() const override { return 0; }
    TimeNs wall_ns() const override { return 0; }
};

TEST(TimeAccount, StagesAddUpToTheWhole) {
    TimeAccount account;
    account.begin(1'000);
    account.charge(Stage::kRunQueue, 1'010);
    account.charge(Stage::kParse, 1'013);
    account.charge(Stage::kFsync, 1'500);
    account.charge(Stage::kParse, 1'502);
    EXPECT_EQ(account.spent(Stage::kRunQueue), 10u);
    EXPECT_EQ(account.spent(Stage::kParse), 5u);
    EXPECT_EQ(account.spent(Stage::kFsync), 487u);
    EXPECT_EQ(account.total(), 502u);
}

TEST(TimeAccount, AStampFromBeforeTheLastOneBooksNothing) {
    TimeAccount account;
    account.begin(100);
    account.charge(Stage::kParse, 150);
    account.charge(Stage::kLogQueue, 140);  // the batch had started before this request joined it
    account.charge(Stage::kLogWrite, 180);
    EXPECT_EQ(account.spent(Stage::kLogQueue), 0u);
    EXPECT_TRUE(account.met(Stage::kLogQueue)) << "it has been in the queue, for no time";
    EXPECT_FALSE(account.met(Stage::kFsync));
    EXPECT_EQ(account.spent(Stage::kLogWrite), 30u);
    EXPECT_EQ(account.total(), 80u);
}

// Keeps the snapshots by their label.
class Collected final : public metrics::Visitor {
  public:
    void family(std::string_view name, std::string_view, metrics::Type) override { name_ = name; }
    void value(const metrics::Labels&, double) override { ADD_FAILURE(); }
    void histogram(const metrics::Labels& labels, const metrics::HistogramSnapshot& s) override {
        if (labels.empty()) total = s;
        if (!labels.empty() && labels[0].second == "fsync") fsync = s;
        ++families;
    }
    metrics::HistogramSnapshot fsync, total;
    std::size_t families = 0;

  private:
    std::string name_;
};

TEST(StageHistograms, MergeShardsAndExportSeconds) {
    const ManualClock clock;
    const TickClock ticks(clock, TickClock::Source::kClock);
    StageHistograms stages(ticks, 2);
    for (unsigned shard = 0; shard < 2; ++shard) {
        TimeAccount account;
        account.begin(0);
        account.charge(Stage::kFsync, (shard + 1) * 1'000'000);
        stages.record(shard, account);
    }
    EXPECT_EQ(stages.merged(Stage::kFsync).count(), 2u);
    EXPECT_EQ(stages.merged(Stage::kFsync).sum(), 3'000'000u);
    EXPECT_EQ(stages.merged(Stage::kParse).count(), 0u);
    EXPECT_EQ(stages.merged_total().max(), 2'000'000u);

    metrics::Registry registry;
    stages.export_to(registry);
    Collected seen;
    registry.collect(seen);
    EXPECT_EQ(seen.families, kStageCount + 1);
    EXPECT_EQ(seen.fsync.count(), 2u);
    EXPECT_DOUBLE_EQ(seen.fsync.sum, 0.003);
    EXPECT_EQ(seen.total.count(), 2u);
}

}  // namespace
}  // namespace sluice
