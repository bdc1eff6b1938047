#include "storage/wal/wal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/check.h"
#include "storage/wal/recovery.h"
#include "storage/wal/segment_pool.h"
#include "storage/wal/segment_reader.h"
#include "storage/wal/staging_buffer.h"

namespace sluice::storage {
namespace {

using namespace wal;

std::uint64_t entry_extent(const LogEntry& entry) {
    return align_up(kRecordHeaderBytes + kEntryHeaderBytes + entry.bytes(), kRecordAlign);
}

Status check_sizes(const WalGroup& group) {
    std::uint64_t bytes = 0;
    for (const LogEntry& entry : group.entries) {
        if (entry.bytes() > limits::kWalEntryBytesMax) {
            return fail(Code::kInvalidArgument,
                        fmt::format("an entry of {} bytes exceeds {}", entry.bytes(),
                                    limits::kWalEntryBytesMax));
        }
        bytes += entry_extent(entry);
    }
    if (group.entries.size() > 1 && bytes > limits::kWalGroupBytesMax) {
        return fail(Code::kInvalidArgument, fmt::format("a group of {} bytes exceeds {}", bytes,
                                                        limits::kWalGroupBytesMax));
    }
    return {};
}

}  // namespace

struct Wal::Impl {
    Impl(io::FileSystem& file_system, WalOptions wal_options)
        : fs(file_system), options(std::move(wal_options)) {}

    Status open();
    Status start_new();
    Status resume(std::uint64_t last_group);
    Status rewrite(std::uint64_t from, std::uint64_t to);
    Status begin_segment(std::uint64_t bytes_min);
    void encode(const WalGroup& group, bool new_session);
    void encode_entry(const LogEntry& entry);
    Status write(const WalGroup& group, bool new_session);
    void note_written(const WalGroup& group);
    Status sync();
    Status replay(std::uint64_t after, std::uint64_t to,
                  const std::function<Status(const LogEntry&)>& visit);
    Status release_prefix(std::uint64_t released);
    Status keep_failure(Status status);

    io::FileSystem& fs;
    const WalOptions options;
    std::unique_ptr<SegmentPool> pool;
    std::unique_ptr<io::File> active;
    StagingBuffer staging;
    bool fresh = false;
    bool segment_is_new = false;  // its next group repeats the state; none released before that
    bool unsynced = false;
    std::optional<Error> failed;

    GroupCursor end;
    std::uint64_t max_index = 0;  // of the active segment
    LogIndex index;
    HardState hard_state;
    Configuration configuration;
    SnapshotMark snapshot;
    SnapshotMark synced_snapshot;
    Stats stats;

    // What replay() reads from another thread.
    std::mutex mutex;
    std::vector<SegmentInfo> segments;  // guarded by mutex; back() is the active one
    Truncations truncations;            // guarded by mutex
};

Status Wal::Impl::keep_failure(Status status) {
    if (!status && !failed) failed = status.error();
    return status;
}

Status Wal::Impl::open() {
    const auto valid = [](std::uint64_t bytes) {
        return bytes % kBlockBytes == 0 && bytes >= 4 * kBlockBytes &&
               bytes <= limits::kWalSegmentBytesMax;
    };
    if (!valid(options.segment_bytes) || !valid(options.first_segment_bytes) ||
        options.first_segment_bytes > options.segment_bytes) {
        return fail(Code::kInvalidArgument,
                    fmt::format("segment sizes must be multiples of {} from {} to {} bytes",
                                kBlockBytes, 4 * kBlockBytes, limits::kWalSegmentBytesMax));
    }
    SLUICE_TRY_ASSIGN(const bool exists, fs.exists(options.dir));
    if (!exists) {
        SLUICE_TRY(fs.create_dir(options.dir));
        const std::size_t slash = options.dir.find_last_of('/');
        const std::string parent = slash == std::string::npos ? "." : options.dir.substr(0, slash);
        SLUICE_TRY(fs.sync_dir(parent.empty() ? "/" : parent));
    }
    SLUICE_TRY_ASSIGN(Recovered recovered, recover(fs, options.dir));
    SLUICE_TRY_ASSIGN(pool, SegmentPool::open(fs, {.dir = options.dir,
                                                   .segment_bytes = options.segment_bytes,
                                                   .small_bytes = options.first_segment_bytes,
                                                   .background = options.prepare_in_background}));
    segments = std::move(recovered.segments);
    index = std::move(recovered.index);
    hard_state = recovered.hard_state;
    configuration = std::move(recovered.configuration);
    snapshot = synced_snapshot = recovered.snapshot;
    truncations = std::move(recovered.truncations);
    end = recovered.end;
    stats.cut_bytes = recovered.cut_bytes;
    return segments.empty() ? start_new() : resume(recovered.last_group);
}

Status Wal::Impl::start_new() {
    fresh = true;
    end = {.offset = kBlockBytes, .group = 1, .session = 1};
    return begin_segment(0);
}

Status Wal::Impl::resume(std::uint64_t last_group) {
    SLUICE_TRY_ASSIGN(active, fs.open(segments.back().path, io::OpenMode::kReadWriteDirect));
    max_index = segments.back().max_index;
    segment_is_new = !segments.back().has_state;
    // A crash between the newest segment's rename and the directory's sync: the name is not
    // durable.
    SLUICE_TRY(fs.sync_dir(options.dir));
    SLUICE_TRY(rewrite(last_group, end.offset));
    ++end.session;
    SLUICE_TRY(write({}, /*new_session=*/true));
    return sync();
}

// The last group may have been read from a page cache that lies: after a failed fdatasync the
// kernel keeps the pages, marks them clean and will never write them. Writing the same bytes again
// makes them dirty again. Synced before the new session's group is written: that group proves to a
// later recovery that this one was durable. Groups before the last one were followed by another,
// so their fdatasync had succeeded.
Status Wal::Impl::rewrite(std::uint64_t from, std::uint64_t to) {
    SLUICE_TRY_ASSIGN(const auto file, fs.open(segments.back().path, io::OpenMode::kReadWrite));
    std::vector<std::byte> bytes(std::min<std::uint64_t>(to - from, limits::kWalGroupBytesMax));
    while (from < to) {
        const auto part = std::span(bytes).first(std::min<std::uint64_t>(bytes.size(), to - from));
        SLUICE_TRY_ASSIGN(const std::size_t got, file->pread(part, from));
        if (got != part.size()) return fail(Code::kDataLoss, "the log shrinks while it is read");
        SLUICE_TRY(file->pwrite(part, from));
        from += got;
    }
    return file->fdatasync();
}

// Seals the active segment, if there is one, and makes the next one ready.
Status Wal::Impl::begin_segment(std::uint64_t bytes_min) {
    SLUICE_CHECK(!unsynced);
    const std::uint64_t sequence = segments.empty() ? 1 : segments.back().sequence + 1;
    const SegmentHeader header{.session = end.session,
                               .sequence = sequence,
                               .first_group = end.group,
                               .previous_end = segments.empty() ? 0 : segments.back().end,
                               .next_index = index.last_index() + 1,
                               .previous_term = index.last_term()};
    SegmentInfo info{.path = fmt::format("{}/{}", options.dir, segment_name(sequence)),
                     .sequence = sequence,
                     .end = kBlockBytes,
                     .first_group = end.group,
                     .first_session = end.session,
                     .next_index = header.next_index};
    SLUICE_TRY_ASSIGN(auto taken, pool->take(info.path, bytes_min + kBlockBytes, header));
    active = std::move(taken.file);
    info.bytes = taken.bytes;
    end.offset = kBlockBytes;
    max_index = 0;
    segment_is_new = true;
    const std::lock_guard lock(mutex);
    segments.push_back(std::move(info));
    return {};
}

void Wal::Impl::encode_entry(const LogEntry& entry) {
    const auto to = staging.begin_record(RecordType::kEntry, kEntryHeaderBytes + entry.bytes());
    encode_entry_header(entry, to.first(kEntryHeaderBytes));
    std::byte* payload = to.data() + kEntryHeaderBytes;
    if (!entry.head.empty()) std::memcpy(payload, entry.head.data(), entry.head.size());
    if (!entry.body.empty()) {
        std::memcpy(payload + entry.head.size(), entry.body.data(), entry.body.size());
    }
}

void Wal::Impl::encode(const WalGroup& group, bool new_session) {
    staging.reset(segments.back().sequence, end.group, end.session);
    if (new_session) {
        // Alone in one block, so that a torn one leaves nothing behind it that the next session,
        // which would have the same number, could take for its own.
        staging.add_record(RecordType::kSession, {});
        return;
    }
    if (segment_is_new) {
        // So that older segments can be released without losing the state.
        staging.add_record(RecordType::kHardState, encode_hard_state(hard_state));
        staging.add_record(RecordType::kConfiguration, encode_configuration(configuration));
        staging.add_record(RecordType::kSnapshot, encode_snapshot(snapshot));
    }
    if (group.truncate_after) {
        staging.add_record(RecordType::kTruncate, encode_index(*group.truncate_after));
    }
    for (const LogEntry& entry : group.entries) encode_entry(entry);
    if (group.hard_state) {
        staging.add_record(RecordType::kHardState, encode_hard_state(*group.hard_state));
    }
    if (group.configuration) {
        staging.add_record(RecordType::kConfiguration, encode_configuration(*group.configuration));
    }
    if (group.snapshot) {
        staging.add_record(RecordType::kSnapshot, encode_snapshot(*group.snapshot));
    }
}

Status Wal::Impl::write(const WalGroup& group, bool new_session) {
    if (failed) return fail(*failed);
    SLUICE_CHECK(!unsynced);
    SLUICE_TRY(check_sizes(group));
    encode(group, new_session);
    auto blocks = staging.finish();
    if (end.offset + blocks.size() > segments.back().bytes) {
        segment_is_new = true;
        encode(group, new_session);  // for its size there
        SLUICE_TRY(keep_failure(begin_segment(staging.finish().size())));
        encode(group, new_session);
        blocks = staging.finish();
    }
    SLUICE_CHECK(end.offset + blocks.size() <= segments.back().bytes);
    SLUICE_TRY(keep_failure(active->pwrite(blocks, end.offset)));
    end.offset += blocks.size();
    ++end.group;
    if (!new_session) segment_is_new = false;
    unsynced = true;
    stats.groups += 1;
    stats.written_bytes += blocks.size();
    note_written(group);
    // A small segment may be the last one that a small log needs.
    const std::uint64_t bytes = segments.back().bytes;
    if (end.offset > bytes / (bytes < options.segment_bytes ? 2 : 8)) pool->want_spare();
    return {};
}

void Wal::Impl::note_written(const WalGroup& group) {
    if (group.truncate_after) {
        index.truncate_after(*group.truncate_after);
        const std::lock_guard lock(mutex);
        truncations.add(end.group - 1, *group.truncate_after);
        for (SegmentInfo& segment : segments) segment.truncate_after(*group.truncate_after);
        max_index = std::min(max_index, *group.truncate_after);
    }
    for (const LogEntry& entry : group.entries) {
        index.append(entry.index, entry.term);
        stats.payload_bytes += entry.bytes();
    }
    stats.entries += group.entries.size();
    if (!group.entries.empty()) max_index = std::max(max_index, group.entries.back().index);
    if (group.hard_state) {
        SLUICE_CHECK(group.hard_state->term >= hard_state.term);
        hard_state = *group.hard_state;
    }
    if (group.configuration) configuration = *group.configuration;
    if (group.snapshot) snapshot = *group.snapshot;
}

Status Wal::Impl::sync() {
    if (failed) return fail(*failed);
    if (!unsynced) return {};
    if (!options.unsafe_no_fsync) SLUICE_TRY(keep_failure(active->fdatasync()));
    unsynced = false;
    synced_snapshot = snapshot;
    const std::lock_guard lock(mutex);
    segments.back().end = end.offset;
    segments.back().max_index = max_index;
    return {};
}

Status Wal::Impl::replay(std::uint64_t after, std::uint64_t to,
                         const std::function<Status(const LogEntry&)>& visit) {
    std::vector<SegmentInfo> parts;
    Truncations cuts;
    {
        const std::lock_guard lock(mutex);
        parts = segments;
        cuts = truncations;
    }
    std::uint64_t done = after;
    for (const SegmentInfo& part : parts) {
        if (part.max_index <= after || done >= to) continue;
        SLUICE_TRY_ASSIGN(const auto file, fs.open(part.path, io::OpenMode::kRead));
        SegmentReader reader(*file, part.sequence, part.bytes);
        GroupCursor at{
            .offset = kBlockBytes, .group = part.first_group, .session = part.first_session};
        while (at.offset < part.end && done < to) {
            const GroupCursor from = at;
            const auto visit_record = [&](const SegmentReader::Record& record) -> Status {
                if (record.header.type != RecordType::kEntry) return {};
                const auto entry = decode_entry(record.payload);
                if (!entry) return fail(Code::kDataLoss, "malformed entry in " + part.path);
                if (entry->index <= done || entry->index > to) return {};
                if (cuts.dropped(from.group, entry->index)) return {};
                SLUICE_CHECK(entry->index == done + 1 || done == after);
                done = entry->index;
                return visit(*entry);
            };
            SLUICE_TRY_ASSIGN(const bool whole, read_group(reader, at, visit_record));
            if (!whole) {
                return fail(Code::kDataLoss, fmt::format("the log is damaged: segment {} offset {}",
                                                         part.path, from.offset));
            }
        }
    }
    return {};
}

Status Wal::Impl::release_prefix(std::uint64_t released) {
    if (failed) return fail(*failed);
    SLUICE_CHECK(released <= synced_snapshot.index);
    if (segment_is_new) return {};  // the state is in the older segments only
    while (segments.size() > 1 && segments.front().max_index <= released) {
        const SegmentInfo oldest = segments.front();
        const std::uint64_t next_index = segments[1].next_index;
        {
            const std::lock_guard lock(mutex);
            segments.erase(segments.begin());
        }
        SLUICE_TRY(keep_failure(pool->release(oldest.path, oldest.bytes)));
        index.release_to(std::min(next_index - 1, index.last_index()));
    }
    return {};
}

Wal::Wal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wal::~Wal() = default;

Result<std::unique_ptr<Wal>> Wal::open(io::FileSystem& fs, WalOptions options) {
    auto impl = std::make_unique<Impl>(fs, std::move(options));
    SLUICE_TRY(impl->open());
    return std::unique_ptr<Wal>(new Wal(std::move(impl)));
}

bool Wal::fresh() const noexcept {
    return impl_->fresh;
}
const HardState& Wal::hard_state() const noexcept {
    return impl_->hard_state;
}
const Configuration& Wal::configuration() const noexcept {
    return impl_->configuration;
}
const SnapshotMark& Wal::snapshot() const noexcept {
    return impl_->snapshot;
}
std::uint64_t Wal::first_index() const noexcept {
    return impl_->index.first_index();
}
std::uint64_t Wal::last_index() const noexcept {
    return impl_->index.last_index();
}
std::uint64_t Wal::term_at(std::uint64_t index) const noexcept {
    return impl_->index.term_at(index);
}

Status Wal::write(const WalGroup& group) {
    if (group.empty()) return {};
    return impl_->write(group, /*new_session=*/false);
}
Status Wal::sync() {
    return impl_->sync();
}
Status Wal::replay(std::uint64_t after, std::uint64_t to,
                   const std::function<Status(const LogEntry&)>& visit) {
    return impl_->replay(after, to, visit);
}
Status Wal::release_prefix(std::uint64_t index) {
    return impl_->release_prefix(index);
}

Wal::Stats Wal::stats() const {
    Stats stats = impl_->stats;
    stats.segments_created = impl_->pool->created();
    stats.segments_recycled = impl_->pool->recycled();
    stats.segments = impl_->segments.size();
    return stats;
}

}  // namespace sluice::storage
