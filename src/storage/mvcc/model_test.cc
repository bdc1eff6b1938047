// Random operations on the store and on a plain reference of it: every answer must be the same, at
// every revision that is still live. A failure prints its seed; SLUICE_MODEL_SEED=n runs that one,
// and SLUICE_MODEL_STEPS=n sets how long.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "storage/mvcc/model_testing.h"

namespace sluice::storage {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class ModelRun {
  public:
    explicit ModelRun(std::uint64_t seed) : random_(seed) { reopen(); }

    void step();
    void check_everything();
    void reopen();

  private:
    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    std::string key() {
        return "k" + std::string(1, static_cast<char>('a' + below(3))) + std::to_string(below(12));
    }
    std::string value() {
        const auto bytes = below(20) == 0 ? 3000 + below(3000) : below(60);
        return std::string(bytes, static_cast<char>('a' + below(26)));
    }
    std::string range_end(const std::string& begin);
    RangeQuery query(std::string& begin, std::string& end, Revision revision);
    void group();
    void txn(bool first);
    void check_range(Revision revision);
    void check_writer_range();
    void check_history();
    void check_leases();
    void compact();

    std::mt19937_64 random_;
    TemporaryDir dir_;
    std::unique_ptr<MvccStore> store_;
    std::unique_ptr<Applier> applier_;
    Model model_;
    std::uint64_t index_ = 0;
};

std::string ModelRun::range_end(const std::string& begin) {
    switch (below(5)) {
        case 0:
            return "";
        case 1:
            return std::string("\0", 1);
        case 2:
            return begin.substr(0, 2) + "~";
        case 3:
            return key();  // may be empty or reversed
        default:
            return "l";
    }
}

RangeQuery ModelRun::query(std::string& begin, std::string& end, Revision revision) {
    begin = below(4) == 0 ? std::string("\0", 1) : key();
    end = range_end(begin);
    RangeQuery q{.key = begin, .range_end = end, .revision = revision};
    q.limit = below(3) == 0 ? static_cast<std::int64_t>(below(8)) : 0;
    if (below(3) == 0) q.order = static_cast<SortOrder>(below(3));
    if (below(3) == 0) q.target = static_cast<SortTarget>(below(5));
    q.keys_only = below(6) == 0;
    q.count_only = below(8) == 0;
    const auto any = [&] {
        return below(6) == 0 ? static_cast<Revision>(
                                   below(static_cast<std::uint64_t>(model_.read_revision() + 2)))
                             : 0;
    };
    q.min_mod_revision = any();
    q.max_mod_revision = any();
    q.min_create_revision = any();
    q.max_create_revision = any();
    return q;
}

void expect_same(const RangeResult& got, const RangeResult& want) {
    EXPECT_EQ(to_text(got.kvs), to_text(want.kvs));
    EXPECT_EQ(got.kvs, want.kvs);
    EXPECT_EQ(got.count, want.count);
    EXPECT_EQ(got.more, want.more);
    EXPECT_EQ(got.revision, want.revision);
}

void ModelRun::check_writer_range() {
    std::string begin;
    std::string end;
    const auto floor = std::max<Revision>(model_.compacted(), 1);
    const auto span = static_cast<std::uint64_t>(model_.read_revision() - floor + 1);
    const Revision at = below(2) == 0 ? 0 : floor + static_cast<Revision>(below(span));
    const RangeQuery q = query(begin, end, at);
    RangeResult got;
    const auto status = applier_->range(q, got);
    ASSERT_TRUE(status) << status.error().message();
    expect_same(got, model_.range(q));
}

void ModelRun::txn(bool first) {
    applier_->begin_txn(true);
    model_.begin_txn();
    std::set<std::string> touched;
    // Few txns end without a change; most change one or two keys.
    for (auto ops = below(4); ops > 0; --ops) {
        const std::string k = key();
        const auto kind = below(10);
        if (kind < 6) {
            if (!touched.insert(k).second) continue;
            const std::string v = value();
            const auto lease = static_cast<LeaseId>(below(3) == 0 ? below(3) : 0);
            KeyValue prev;
            ASSERT_TRUE(applier_->put(k, v, lease, &prev));
            const KeyValue before = model_.put(k, v, lease);
            EXPECT_EQ(prev, before);
        } else if (kind < 8 && touched.empty()) {
            const std::string end = below(2) == 0 ? "" : range_end(k);
            std::vector<KeyValue> prevs;
            const auto count = applier_->delete_range(k, end, &prevs);
            ASSERT_TRUE(count);
            const auto want = model_.delete_range(k, end);
            EXPECT_EQ(prevs, want);
            EXPECT_EQ(*count, static_cast<std::int64_t>(want.size()));
            for (const auto& kv : want) touched.insert(kv.key);
        } else {
            check_writer_range();
        }
    }
    if (!first) check_leases();
    EventBatch got;
    EventBatch want;
    const bool changed = applier_->end_txn(&got);
    EXPECT_EQ(changed, model_.end_txn(&want));
    EXPECT_EQ(to_text({got}), to_text({want}));
}

void ModelRun::group() {
    const auto txns = 1 + below(6);
    for (std::uint64_t i = 0; i < txns; ++i) txn(i == 0);
    const Revision before = store_->current_revision();
    EXPECT_LE(before, model_.revision());
    ASSERT_TRUE(applier_->commit(++index_, 7));
    EXPECT_EQ(store_->current_revision(), model_.revision());
}

void ModelRun::check_range(Revision revision) {
    std::string begin;
    std::string end;
    const RangeQuery q = query(begin, end, revision);
    RangeResult got;
    auto step = store_->range(q, ReadTier::kMemory, got);
    if (step && *step == ReadStep::kWouldBlock) step = store_->range(q, ReadTier::kAny, got);
    ASSERT_TRUE(step) << step.error().message();
    ASSERT_EQ(*step, ReadStep::kDone);
    expect_same(got, model_.range(q));
}

void ModelRun::check_leases() {
    for (LeaseId lease = 1; lease < 3; ++lease) {
        const auto keys = applier_->keys_of_lease(lease);
        ASSERT_TRUE(keys);
        EXPECT_EQ(*keys, model_.keys_of_lease(lease));
    }
}

void ModelRun::check_history() {
    const Revision floor = std::max<Revision>(model_.compacted(), 1);
    const auto span = static_cast<std::uint64_t>(model_.revision() - floor + 1);
    const std::string k = key();
    HistoryQuery q;
    q.from = floor + static_cast<Revision>(below(span));
    q.with_prev = below(2) == 0;
    const std::string end = range_end(k);
    if (below(2) == 0) q.ranges.push_back({k, end});
    if (below(2) == 0) q.bytes_max = 200;
    const auto want = model_.history(q.from, model_.revision(), q);
    std::vector<EventBatch> got;
    for (;;) {
        auto step = store_->read_history(q, ReadTier::kMemory, got);
        if (step && step->step == ReadStep::kWouldBlock) {
            step = store_->read_history(q, ReadTier::kAny, got);
        }
        ASSERT_TRUE(step) << step.error().message();
        if (step->step == ReadStep::kDone) break;
        ASSERT_EQ(step->step, ReadStep::kMore);
        ASSERT_GT(step->next, q.from);
        q.from = step->next;
    }
    EXPECT_EQ(to_text(got), to_text(want));
}

void ModelRun::compact() {
    const Revision low = model_.compacted() + 1;
    if (model_.revision() < low) return;
    const auto at =
        low + static_cast<Revision>(below(static_cast<std::uint64_t>(model_.revision() - low + 1)));
    ASSERT_TRUE(applier_->compact(at));
    model_.compact(at);
    ASSERT_TRUE(applier_->commit(++index_, 7));
    EXPECT_EQ(store_->compacted_revision(), at);
    if (below(2) == 0) {
        const auto status = store_->collect_garbage();
        ASSERT_TRUE(status) << status.error().message();
        EXPECT_EQ(store_->collected_revision(), at);
    }
}

void ModelRun::reopen() {
    applier_.reset();
    store_.reset();
    auto opened =
        MvccStore::open({.dir = dir_.path(), .memory_limit_bytes = limits::kStoreMemoryMin});
    ASSERT_TRUE(opened) << opened.error().message();
    store_ = std::move(*opened);
    EXPECT_EQ(store_->current_revision(), model_.revision());
    EXPECT_EQ(store_->compacted_revision(), model_.compacted());
    EXPECT_EQ(store_->applied_index(), index_);
    EXPECT_EQ(store_->durable_applied_index(), index_);
    EXPECT_EQ(store_->stats().keys, model_.keys());
    applier_ = std::make_unique<Applier>(*store_);
}

void ModelRun::step() {
    const auto kind = below(100);
    if (kind < 60) {
        group();
    } else if (kind < 85) {
        const auto floor = std::max<Revision>(model_.compacted(), 1);
        const auto span = static_cast<std::uint64_t>(model_.revision() - floor + 1);
        check_range(below(2) == 0 ? 0 : floor + static_cast<Revision>(below(span)));
    } else if (kind < 93) {
        check_history();
    } else if (kind < 95) {
        check_leases();
    } else if (kind < 97) {
        compact();
    } else if (kind < 98) {
        ASSERT_TRUE(below(2) == 0 ? store_->flush() : store_->compact_range());
    } else if (kind < 99) {
        reopen();
    }
}

void ModelRun::check_everything() {
    for (Revision at = std::max<Revision>(model_.compacted(), 1); at <= model_.revision(); ++at) {
        const std::string all("\0", 1);
        const RangeQuery q{.key = all, .range_end = all, .revision = at};
        RangeResult got;
        const auto step = store_->range(q, ReadTier::kAny, got);
        ASSERT_TRUE(step) << step.error().message();
        expect_same(got, model_.range(q));
    }
}

TEST(Model, RandomOperationsAgree) {
    const auto steps = setting("SLUICE_MODEL_STEPS", 1000);
    const auto seeds = std::getenv("SLUICE_MODEL_SEED") == nullptr ? 4 : 1;
    for (int i = 0; i < seeds; ++i) {
        const auto seed = setting("SLUICE_MODEL_SEED", 20 + static_cast<std::uint64_t>(i));
        SCOPED_TRACE("SLUICE_MODEL_SEED=" + std::to_string(seed));
        ModelRun run(seed);
        for (std::uint64_t step = 0; step < steps; ++step) {
            run.step();
            if (testing::Test::HasFailure()) {
                FAIL() << "at step " << step << " of seed " << seed;
            }
        }
        run.check_everything();
        if (testing::Test::HasFailure()) FAIL() << "at the end of seed " << seed;
    }
}

}  // namespace
}  // namespace sluice::storage
