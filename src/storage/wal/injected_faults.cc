#include "storage/wal/injected_faults.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/forwarding_file_system.h"

namespace sluice::storage {
namespace {

constexpr std::uint64_t kNeverFails = UINT64_MAX;
constexpr std::size_t kSectorBytes = 512;

struct Plan {
    std::uint64_t fdatasync_error_after = kNeverFails;
    std::uint64_t write_error_after = kNeverFails;
    std::uint64_t power_loss_after = kNeverFails;
    std::uint64_t stall_after = kNeverFails;
    std::uint64_t stall_ms = 0;
    std::uint64_t lose_unsynced = 0;
    std::uint64_t seed = 1;
};

Result<Plan> parse(std::string_view text) {
    Plan plan;
    const std::array<std::pair<std::string_view, std::uint64_t*>, 7> settings = {{
        {"fdatasync_error_after", &plan.fdatasync_error_after},
        {"write_error_after", &plan.write_error_after},
        {"power_loss_after", &plan.power_loss_after},
        {"stall_after", &plan.stall_after},
        {"stall_ms", &plan.stall_ms},
        {"lose_unsynced", &plan.lose_unsynced},
        {"seed", &plan.seed},
    }};
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), one.size() + 1));
        const std::size_t equals = std::min(one.find('='), one.size());
        const auto setting = std::ranges::find(settings, one.substr(0, equals),
                                               [](const auto& known) { return known.first; });
        const char* const end = one.data() + one.size();
        const char* const digits = std::min(one.data() + equals + 1, end);
        if (setting == settings.end() || digits == end ||
            std::from_chars(digits, end, *setting->second).ptr != end) {
            return fail(Code::kInvalidArgument, fmt::format("unknown fault \"{}\"", one));
        }
    }
    return plan;
}

// The state that all files share.
struct Injector {
    explicit Injector(const Plan& what) : plan(what), random(what.seed) {}

    // Is it the turn of a call that `after` calls precede?
    static bool due(std::uint64_t& count, std::uint64_t after) { return count++ >= after; }
    bool holds_writes() const {
        return plan.lose_unsynced != 0 || plan.power_loss_after != kNeverFails;
    }

    const Plan plan;
    std::mutex mutex;  // guards what follows
    std::mt19937_64 random;
    std::uint64_t writes = 0;
    std::uint64_t fdatasyncs = 0;
};

class BrokenFile final : public io::File {
  public:
    BrokenFile(Injector& injector, std::unique_ptr<io::File> below, std::string path)
        : injector_(injector), below_(std::move(below)), path_(std::move(path)) {}

    Result<std::size_t> pread(std::span<std::byte> to, std::uint64_t offset) override;
    Status pwrite(std::span<const std::byte> from, std::uint64_t offset) override;
    Status fdatasync() override;
    Status fallocate(std::uint64_t offset, std::uint64_t bytes) override {
        return below_->fallocate(offset, bytes);
    }
    Status truncate(std::uint64_t bytes) override { return below_->truncate(bytes); }
    Result<std::uint64_t> size() override;

  private:
    struct Held {
        std::uint64_t offset;
        std::vector<std::byte> bytes;
    };

    Status write_or_hold(std::span<const std::byte> from, std::uint64_t offset);
    [[noreturn]] void lose_power();

    Injector& injector_;
    const std::unique_ptr<io::File> below_;
    const std::string path_;
    std::mutex mutex_;        // guards held_; taken before the injector's
    std::vector<Held> held_;  // in order
};

Result<std::size_t> BrokenFile::pread(std::span<std::byte> to, std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    SLUICE_TRY_ASSIGN(std::size_t got, below_->pread(to, offset));
    for (const Held& held : held_) {
        const std::uint64_t from = std::max(offset, held.offset);
        const std::uint64_t end = std::min(offset + to.size(), held.offset + held.bytes.size());
        if (from >= end) continue;
        std::memcpy(to.data() + (from - offset), held.bytes.data() + (from - held.offset),
                    end - from);
        got = std::max<std::size_t>(got, end - offset);
    }
    return got;
}

Result<std::uint64_t> BrokenFile::size() {
    const std::lock_guard lock(mutex_);
    SLUICE_TRY_ASSIGN(std::uint64_t bytes, below_->size());
    for (const Held& held : held_) bytes = std::max(bytes, held.offset + held.bytes.size());
    return bytes;
}

Status BrokenFile::write_or_hold(std::span<const std::byte> from, std::uint64_t offset) {
    if (!injector_.holds_writes()) return below_->pwrite(from, offset);
    held_.push_back({offset, {from.begin(), from.end()}});
    return {};
}

Status BrokenFile::pwrite(std::span<const std::byte> from, std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    {
        const std::lock_guard shared(injector_.mutex);
        if (!Injector::due(injector_.writes, injector_.plan.write_error_after)) {
            return write_or_hold(from, offset);
        }
    }
    SLUICE_TRY(write_or_hold(from.first(from.size() / 2), offset));
    return fail(Code::kResourceExhausted,
                fmt::format("write {}: No space left on device (injected)", path_));
}

Status BrokenFile::fdatasync() {
    const std::lock_guard lock(mutex_);
    bool stalls = false;
    {
        const std::lock_guard shared(injector_.mutex);
        const std::uint64_t before = injector_.fdatasyncs++;
        stalls = before == injector_.plan.stall_after;
        if (before >= injector_.plan.power_loss_after) lose_power();
        if (before >= injector_.plan.fdatasync_error_after) {
            return fail(Code::kInternal,
                        fmt::format("fdatasync {}: Input/output error (injected)", path_));
        }
    }
    if (stalls) std::this_thread::sleep_for(std::chrono::milliseconds(injector_.plan.stall_ms));
    for (const Held& held : held_) SLUICE_TRY(below_->pwrite(held.bytes, held.offset));
    held_.clear();
    return below_->fdatasync();
}

// Under the injector's lock, so that no other thread goes on.
void BrokenFile::lose_power() {
    for (const Held& held : held_) {
        for (std::size_t at = 0; at < held.bytes.size(); at += kSectorBytes) {
            const std::size_t n = std::min(kSectorBytes, held.bytes.size() - at);
            if (injector_.random() % 2 == 0) continue;
            (void)below_->pwrite(std::span(held.bytes).subspan(at, n), held.offset + at);
        }
    }
    ::raise(SIGKILL);
    std::abort();
}

class BrokenFileSystem final : public io::ForwardingFileSystem {
  public:
    BrokenFileSystem(io::FileSystem& below, const Plan& plan)
        : ForwardingFileSystem(below), injector_(plan) {}

    Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override {
        // What is held back is written from memory that has no alignment.
        if (mode == io::OpenMode::kReadWriteDirect) mode = io::OpenMode::kReadWrite;
        SLUICE_TRY_ASSIGN(auto file, below_.open(path, mode));
        return std::make_unique<BrokenFile>(injector_, std::move(file), path);
    }

  private:
    Injector injector_;
};

}  // namespace

Result<std::unique_ptr<io::FileSystem>> inject_faults(io::FileSystem& below,
                                                      std::string_view text) {
    SLUICE_TRY_ASSIGN(const Plan plan, parse(text));
    return std::make_unique<BrokenFileSystem>(below, plan);
}

}  // namespace sluice::storage
