#include "storage/wal/segment_pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"
#include "base/limits.h"

namespace sluice::storage::wal {
namespace {

constexpr std::size_t kZeroChunkBytes = 1 << 20;
constexpr std::string_view kSparePrefix = "spare-";
constexpr std::string_view kSpareSuffix = ".seg";
constexpr std::string_view kUnfinishedSuffix = ".tmp";

std::string spare_name(std::uint64_t number) {
    return fmt::format("{}{:08}{}", kSparePrefix, number, kSpareSuffix);
}

std::uint64_t spare_number(std::string_view name) {
    std::uint64_t number = 0;
    std::from_chars(name.data() + kSparePrefix.size(), name.data() + name.size(), number);
    return number;
}

}  // namespace

SegmentPool::SegmentPool(io::FileSystem& fs, Options options)
    : fs_(fs), options_(std::move(options)) {
    SLUICE_CHECK(options_.small_bytes >= 2 * kBlockBytes &&
                 options_.small_bytes % kBlockBytes == 0);
    SLUICE_CHECK(options_.segment_bytes >= options_.small_bytes &&
                 options_.segment_bytes % kBlockBytes == 0);
}

Result<std::unique_ptr<SegmentPool>> SegmentPool::open(io::FileSystem& fs, Options options) {
    std::unique_ptr<SegmentPool> pool(new SegmentPool(fs, std::move(options)));
    SLUICE_TRY(pool->find_spares());
    return pool;
}

SegmentPool::~SegmentPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Status SegmentPool::find_spares() {
    SLUICE_TRY_ASSIGN(const auto names, fs_.list(options_.dir));
    for (const std::string& name : names) {
        const std::string path = fmt::format("{}/{}", options_.dir, name);
        if (name.ends_with(kUnfinishedSuffix)) {
            SLUICE_TRY(fs_.remove(path));
        } else if (name.starts_with(kSparePrefix) && name.ends_with(kSpareSuffix)) {
            SLUICE_TRY_ASSIGN(const auto file, fs_.open(path, io::OpenMode::kRead));
            SLUICE_TRY_ASSIGN(const std::uint64_t bytes, file->size());
            next_spare_ = std::max(next_spare_, spare_number(name) + 1);
            if (bytes % kBlockBytes != 0 || bytes < 2 * kBlockBytes ||
                spares_.size() >= limits::kWalSpareSegments) {
                SLUICE_TRY(fs_.remove(path));
            } else {
                spares_.push_back({path, bytes});
            }
        }
    }
    return {};
}

Status SegmentPool::write_zeros(const std::string& path, std::uint64_t bytes,
                                std::span<const std::byte> head) {
    // Not const: so it is no part of the program's file. Nobody writes it.
    alignas(kBlockBytes) static std::array<std::byte, kZeroChunkBytes> zeros;
    SLUICE_TRY(fs_.open(path, io::OpenMode::kCreate));
    // Past the page cache: a copy of the zeros there is half of what this costs.
    SLUICE_TRY_ASSIGN(const auto file, fs_.open(path, io::OpenMode::kReadWriteDirect));
    SLUICE_TRY(file->fallocate(0, bytes));
    for (std::uint64_t at = 0; at < bytes; at += kZeroChunkBytes) {
        const std::size_t step = std::min<std::uint64_t>(kZeroChunkBytes, bytes - at);
        SLUICE_TRY(file->pwrite(std::span<const std::byte>(zeros).first(step), at));
        const std::lock_guard lock(mutex_);
        if (stopping_) return fail(Code::kCancelled, "the log is being closed");
    }
    if (!head.empty()) SLUICE_TRY(file->pwrite(head, 0));
    return file->fdatasync();
}

bool SegmentPool::pop_spare(std::uint64_t bytes_min, Spare& out) {
    const std::lock_guard lock(mutex_);
    failed_ = false;
    const auto fits = [&](const Spare& spare) { return spare.bytes >= bytes_min; };
    const auto found = std::ranges::find_if(spares_, fits);
    if (found == spares_.end()) return false;
    out = *found;
    spares_.erase(found);
    ++recycled_;
    return true;
}

Result<SegmentPool::Segment> SegmentPool::take(const std::string& path, std::uint64_t bytes_min,
                                               SegmentHeader header) {
    Spare source;
    const bool recycled = pop_spare(bytes_min, source);
    if (!recycled) {
        const std::uint64_t bytes =
            align_up(std::max(bytes_min, options_.small_bytes), kBlockBytes);
        source = {path + std::string(kUnfinishedSuffix), bytes};
    }
    header.segment_bytes = source.bytes;
    alignas(kBlockBytes) std::array<std::byte, kBlockBytes> block;
    encode_segment_header(header, block);
    if (!recycled) {
        SLUICE_TRY(write_zeros(source.path, source.bytes, block));
        const std::lock_guard lock(mutex_);
        ++created_;
    }
    Segment segment{.file = nullptr, .bytes = source.bytes, .recycled = recycled};
    SLUICE_TRY_ASSIGN(segment.file, fs_.open(source.path, io::OpenMode::kReadWriteDirect));
    if (recycled) {
        SLUICE_TRY(segment.file->pwrite(block, 0));
        SLUICE_TRY(segment.file->fdatasync());
    }
    SLUICE_TRY(fs_.rename(source.path, path));
    SLUICE_TRY(fs_.sync_dir(options_.dir));
    return segment;
}

// The directory is synced at once: a spare may get a new header before the next sync, and must not
// turn up under its old name then; and segments must vanish oldest first.
Status SegmentPool::release(const std::string& path, std::uint64_t bytes) {
    Spare spare{.path = {}, .bytes = bytes};
    {
        const std::lock_guard lock(mutex_);
        if (spares_.size() < limits::kWalSpareSegments && bytes >= options_.segment_bytes) {
            spare.path = fmt::format("{}/{}", options_.dir, spare_name(next_spare_++));
        }
    }
    if (spare.path.empty()) {
        SLUICE_TRY(fs_.remove(path));
        return fs_.sync_dir(options_.dir);
    }
    SLUICE_TRY(fs_.rename(path, spare.path));
    SLUICE_TRY(fs_.sync_dir(options_.dir));
    const std::lock_guard lock(mutex_);
    spares_.push_back(std::move(spare));
    return {};
}

void SegmentPool::want_spare() {
    if (!options_.background) return;
    const std::lock_guard lock(mutex_);
    if (wanted_ || failed_ || stopping_ || !spares_.empty()) return;
    wanted_ = true;
    if (!thread_.joinable()) thread_ = std::thread([this] { prepare_loop(); });
    changed_.notify_all();
}

void SegmentPool::wait_prepared() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !wanted_; });
}

void SegmentPool::prepare_loop() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!wanted_) {
            changed_.wait(lock);
            continue;
        }
        lock.unlock();
        const Status prepared = prepare_one();
        lock.lock();
        failed_ = !prepared.has_value();
        wanted_ = false;
        changed_.notify_all();
    }
}

Status SegmentPool::prepare_one() {
    std::string path;
    {
        const std::lock_guard lock(mutex_);
        path = fmt::format("{}/{}", options_.dir, spare_name(next_spare_++));
    }
    const std::string unfinished = path + std::string(kUnfinishedSuffix);
    if (Status zeroed = write_zeros(unfinished, options_.segment_bytes); !zeroed) {
        // Best effort: a disk that is full gets its bytes back; what stays is removed at start.
        (void)fs_.remove(unfinished);
        return zeroed;
    }
    SLUICE_TRY(fs_.rename(unfinished, path));
    const std::lock_guard lock(mutex_);
    spares_.push_back({path, options_.segment_bytes});
    ++created_;
    return {};
}

std::uint64_t SegmentPool::created() const {
    const std::lock_guard lock(mutex_);
    return created_;
}

std::uint64_t SegmentPool::recycled() const {
    const std::lock_guard lock(mutex_);
    return recycled_;
}

}  // namespace sluice::storage::wal
