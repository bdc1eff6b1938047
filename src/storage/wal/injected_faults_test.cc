#include "storage/wal/injected_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/temporary_dir_testing.h"
#include "io/posix_file_system.h"
#include "storage/wal/wal.h"

namespace sluice::storage {
namespace {

class InjectedFaultsTest : public testing::Test {
  protected:
    WalOptions options() const {
        return {.dir = dir_.path("wal"), .segment_bytes = 1 << 16, .first_segment_bytes = 1 << 16};
    }

    // Appends until something fails or the process dies; each acknowledged index goes to a file.
    void append_for_ever(std::string_view fault) {
        auto broken = inject_faults(*fs_, fault);
        auto wal = Wal::open(**broken, options());
        if (!wal) std::abort();
        std::ofstream acknowledged(dir_.path("acknowledged"));
        const std::string payload(3000, 'x');
        for (;;) {
            LogEntry entries[3];
            std::uint64_t index = (*wal)->last_index();
            for (LogEntry& entry : entries) {
                entry = {.term = 1, .index = ++index, .body = payload};
            }
            const Status done = (*wal)->write({.entries = entries});
            if (!done || !(*wal)->sync()) std::_Exit(3);
            acknowledged.seekp(0) << index << ' ' << std::flush;
        }
    }
    void expect_acknowledged_entries() {
        std::uint64_t acknowledged = 0;
        std::ifstream(dir_.path("acknowledged")) >> acknowledged;
        auto wal = Wal::open(*fs_, options());
        ASSERT_TRUE(wal.has_value()) << wal.error().message();
        EXPECT_GT(acknowledged, 0u);
        EXPECT_GE((*wal)->last_index(), acknowledged);
        EXPECT_LE((*wal)->last_index(), acknowledged + 3);
        EXPECT_EQ((*wal)->last_index() % 3, 0u) << "a group is there whole or not at all";
    }

    TemporaryDir dir_;
    const std::unique_ptr<io::FileSystem> fs_ = io::make_posix_file_system();
};

TEST_F(InjectedFaultsTest, PowerLossLeavesWhatWasAcknowledged) {
    for (int seed = 1; seed <= 20; ++seed) {
        const std::string fault =
            "power_loss_after=" + std::to_string(10 + seed) + ",seed=" + std::to_string(seed);
        EXPECT_EXIT(append_for_ever(fault), testing::KilledBySignal(SIGKILL), "");
        expect_acknowledged_entries();
        std::filesystem::remove_all(dir_.path("wal"));
    }
}

TEST_F(InjectedFaultsTest, ErrorsAreFinalAndLeaveWhatWasAcknowledged) {
    for (const char* fault : {"fdatasync_error_after=20", "write_error_after=300",
                              "lose_unsynced=1,fdatasync_error_after=20"}) {
        EXPECT_EXIT(append_for_ever(fault), testing::ExitedWithCode(3), "");
        expect_acknowledged_entries();
        std::filesystem::remove_all(dir_.path("wal"));
    }
}

TEST_F(InjectedFaultsTest, HeldWritesAreReadBackAndReachTheFileWithTheSync) {
    auto broken = *inject_faults(*fs_, "lose_unsynced=1");
    auto file = *broken->open(dir_.path("a"), io::OpenMode::kCreateNew);
    const auto abc = std::as_bytes(std::span<const char>("abc", 3));
    ASSERT_TRUE(file->pwrite(abc, 2).has_value());
    EXPECT_EQ(file->size().value(), 5u);
    std::byte read[8];
    EXPECT_EQ(file->pread(read, 0).value(), 5u);
    EXPECT_EQ(read[2], std::byte{'a'});
    EXPECT_EQ(std::filesystem::file_size(dir_.path("a")), 0u);
    ASSERT_TRUE(file->fdatasync().has_value());
    EXPECT_EQ(std::filesystem::file_size(dir_.path("a")), 5u);
}

TEST_F(InjectedFaultsTest, UnknownSettingsAreRefused) {
    EXPECT_TRUE(inject_faults(*fs_, "").has_value());
    for (const char* text : {"nonsense=1", "seed", "seed=", "seed=x", "seed=1x"}) {
        const auto broken = inject_faults(*fs_, text);
        ASSERT_FALSE(broken.has_value()) << text;
        EXPECT_EQ(broken.error().code(), Code::kInvalidArgument);
    }
}

}  // namespace
}  // namespace sluice::storage
