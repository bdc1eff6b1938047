// The log against a disk that fails, by seed: what was acknowledged is there, what was not is there
// whole or not at all, the order holds. Replay one seed: WAL_SEED=17 wal_test
// --gtest_filter='WalCrash*'
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "storage/wal/fault_file_testing.h"
#include "storage/wal/wal.h"

namespace sluice::storage {
namespace {

// Sanitizers make a life ten to thirty times slower.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t kSeeds = 300;
#else
constexpr std::uint64_t kSeeds = 1500;
#endif
constexpr int kLives = 6;  // opens a seed

struct Stored {
    std::uint64_t term;
    std::string payload;

    bool operator==(const Stored&) const = default;
};

// What the log must hold.
struct Model {
    std::vector<Stored> entries;  // [i] is index i + 1
    HardState hard_state;
    Configuration configuration;
    SnapshotMark snapshot;

    bool operator==(const Model&) const = default;
};

class CrashRun {
  public:
    explicit CrashRun(std::uint64_t seed) : random_(seed), fs_(random_()) {
        options_.dir = "wal";
        options_.segment_bytes = 4096 * (4 + below(28));
        options_.first_segment_bytes = below(2) == 0 ? options_.segment_bytes : 4 * 4096;
        options_.prepare_in_background = below(8) == 0;
    }

    void run() {
        for (int life = 0; life < kLives; ++life) {
            ASSERT_NO_FATAL_FAILURE(one_life());
            if (below(3) == 0)
                fs_.kill();
            else
                fs_.power_loss();
        }
        ASSERT_NO_FATAL_FAILURE(check_opens());
    }

    std::uint64_t cut() const { return cut_; }
    std::uint64_t failures() const { return failures_; }
    std::uint64_t recycled() const { return recycled_; }

  private:
    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    void one_life() {
        arm_failure();
        auto opened = Wal::open(fs_, options_);
        if (!opened) {
            // Only the injected failure may keep a log from opening.
            ASSERT_EQ(opened.error().code(), Code::kInternal) << opened.error().message();
            ++failures_;
            return;
        }
        Wal& wal = **opened;
        cut_ += wal.stats().cut_bytes > 0 ? 1 : 0;
        ASSERT_NO_FATAL_FAILURE(adopt(wal));
        const std::uint64_t groups = below(30);
        crashed_ = false;
        for (std::uint64_t i = 0; i < groups; ++i) {
            const bool good = step(wal);
            if (crashed_) break;
            if (!good) {
                ++failures_;
                ASSERT_NO_FATAL_FAILURE(expect_refusal(wal));
                break;
            }
        }
        recycled_ += wal.stats().segments_recycled;
    }

    void arm_failure() {
        if (below(3) != 0) return;
        using Call = FaultFileSystem::Call;
        const Call calls[] = {Call::kWrite, Call::kFdatasync, Call::kSyncDir, Call::kRename,
                              Call::kAny};
        fs_.fail_after(calls[below(5)], below(40), Error(Code::kInternal, "injected"));
    }

    // Reads everything back and decides whether the last group, if it was not acknowledged, is
    // there; nothing in between is allowed.
    void adopt(Wal& wal) {
        Model found;
        found.entries = durable_.entries;
        found.entries.resize(released_);
        found.hard_state = wal.hard_state();
        found.configuration = wal.configuration();
        found.snapshot = wal.snapshot();
        const Status read = wal.replay(released_, wal.last_index(), [&](const LogEntry& e) {
            EXPECT_EQ(e.index, found.entries.size() + 1);
            EXPECT_EQ(wal.term_at(e.index), e.term);
            found.entries.push_back({e.term, std::string(e.body)});
            return Status{};
        });
        ASSERT_TRUE(read.has_value()) << read.error().message();
        ASSERT_EQ(found.entries.size(), wal.last_index());
        ASSERT_LE(wal.first_index(), released_ + 1);
        if (found == attempted_) durable_ = attempted_;
        ASSERT_TRUE(found == durable_)
            << "entries " << found.entries.size() << ", acknowledged " << durable_.entries.size()
            << ", attempted " << attempted_.entries.size();
        attempted_ = durable_;
    }

    bool step(Wal& wal) {
        Model& next = attempted_;
        WalGroup group;
        const std::uint64_t committed = next.snapshot.index;  // never truncated
        if (below(12) == 0) {
            group.truncate_after = committed + below(next.entries.size() - committed + 1);
            next.entries.resize(*group.truncate_after);
        }
        if (below(6) == 0) {
            next.hard_state.term += 1;
            next.hard_state.vote = below(3);
            next.hard_state.commit = next.entries.size();
            group.hard_state = &next.hard_state;
        }
        std::vector<LogEntry> entries = make_entries(next);
        group.entries = entries;
        if (below(10) == 0) {
            next.configuration.voters = {1, 2 + below(9)};
            group.configuration = &next.configuration;
        }
        if (below(6) == 0 && !next.entries.empty()) {
            const std::uint64_t index = released_ + below(next.entries.size() - released_ + 1);
            next.snapshot = {index, index == 0 ? 0 : next.entries[index - 1].term};
            group.snapshot = &next.snapshot;
        }
        if (!wal.write(group)) return false;
        crashed_ = below(25) == 0;  // between write and fdatasync
        if (crashed_) return true;
        if (!wal.sync()) return false;
        durable_ = next;
        return maybe_release(wal);
    }

    std::vector<LogEntry> make_entries(Model& next) {
        std::vector<LogEntry> entries(below(4) == 0 ? below(20) : below(3));
        const std::uint64_t base = next.entries.size();
        const std::uint64_t floor = base == 0 ? 1 : next.entries.back().term;
        const std::uint64_t term = std::max(floor, next.hard_state.term);
        for (std::size_t i = 0; i < entries.size(); ++i) {
            const std::uint64_t size = below(5) == 0 ? below(3000) : below(100);
            next.entries.push_back({term, std::string(size, static_cast<char>('a' + below(26)))});
        }
        // The views are taken when the strings no longer move.
        for (std::size_t i = 0; i < entries.size(); ++i) {
            const std::string& payload = next.entries[base + i].payload;
            const std::size_t split = payload.size() / 3;
            entries[i] = {.term = term,
                          .index = base + i + 1,
                          .head = std::string_view(payload).substr(0, split),
                          .body = std::string_view(payload).substr(split)};
        }
        return entries;
    }

    bool maybe_release(Wal& wal) {
        if (below(3) != 0 || durable_.snapshot.index <= released_) return true;
        released_ = durable_.snapshot.index;
        return wal.release_prefix(released_).has_value();
    }

    // A log that failed once never says OK again, not even when the disk works again.
    void expect_refusal(Wal& wal) {
        fs_.heal();
        const std::uint64_t writes = fs_.calls(FaultFileSystem::Call::kWrite);
        const HardState state{.term = 1'000'000};
        EXPECT_FALSE(wal.write({.hard_state = &state}).has_value());
        EXPECT_FALSE(wal.sync().has_value());
        if (!options_.prepare_in_background) {
            EXPECT_EQ(fs_.calls(FaultFileSystem::Call::kWrite), writes);
        }
    }

    void check_opens() {
        auto opened = Wal::open(fs_, options_);
        ASSERT_TRUE(opened.has_value()) << opened.error().message();
        adopt(**opened);
    }

    std::mt19937_64 random_;
    FaultFileSystem fs_;
    WalOptions options_;
    Model durable_;
    Model attempted_;
    std::uint64_t released_ = 0;
    bool crashed_ = false;
    std::uint64_t cut_ = 0;
    std::uint64_t failures_ = 0;
    std::uint64_t recycled_ = 0;
};

TEST(WalCrash, AcknowledgedGroupsSurviveAndOthersAreWholeOrAbsent) {
    std::uint64_t cut = 0;
    std::uint64_t failures = 0;
    std::uint64_t recycled = 0;
    const char* only = std::getenv("WAL_SEED");
    const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
    const char* many = std::getenv("WAL_SEEDS");
    const std::uint64_t seeds = many != nullptr ? std::strtoull(many, nullptr, 10) : kSeeds;
    const std::uint64_t last = only != nullptr ? first : seeds;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        CrashRun run(seed);
        run.run();
        ASSERT_FALSE(HasFatalFailure() || HasNonfatalFailure()) << "WAL_SEED=" << seed;
        cut += run.cut();
        failures += run.failures();
        recycled += run.recycled();
    }
    if (only != nullptr) return;
    // The run is worth nothing if it never met what it is for.
    EXPECT_GT(cut, seeds / 15);
    EXPECT_GT(failures, seeds / 3);
    EXPECT_GT(recycled, seeds / 15);
}

}  // namespace
}  // namespace sluice::storage
