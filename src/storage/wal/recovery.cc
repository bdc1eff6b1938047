#include "storage/wal/recovery.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "base/check.h"

namespace sluice::storage::wal {
namespace {

constexpr std::string_view kSuffix = ".wal";
constexpr std::size_t kSequenceDigits = 16;

std::unexpected<Error> damaged(const SegmentInfo& segment, std::uint64_t offset,
                               std::string_view what) {
    return fail(Code::kDataLoss,
                fmt::format("the log is damaged: segment {} offset {}: {}; acknowledged data is "
                            "missing, restore the member from a snapshot or from its peers",
                            segment.path, offset, what));
}

// What a group changes, applied only when the whole group was read.
struct GroupEffect {
    struct Run {
        std::uint64_t first;
        std::uint64_t last;
        std::uint64_t term;
    };
    std::vector<Run> entries;
    std::optional<std::uint64_t> truncate_after;
    std::optional<HardState> hard_state;
    std::optional<Configuration> configuration;
    std::optional<SnapshotMark> snapshot;
    bool malformed = false;

    void add_entry(const LogEntry& entry) {
        if (!entries.empty() && entries.back().term == entry.term &&
            entries.back().last + 1 == entry.index) {
            entries.back().last = entry.index;
        } else {
            entries.push_back({entry.index, entry.index, entry.term});
        }
    }

    void add(const SegmentReader::Record& record);
};

void GroupEffect::add(const SegmentReader::Record& record) {
    const auto take = [&](auto decoded, auto& to) {
        if (decoded)
            to = std::move(decoded);
        else
            malformed = true;
    };
    switch (record.header.type) {
        case RecordType::kEntry:
            if (const auto entry = decode_entry(record.payload))
                add_entry(*entry);
            else
                malformed = true;
            return;
        case RecordType::kHardState:
            return take(decode_hard_state(record.payload), hard_state);
        case RecordType::kConfiguration:
            return take(decode_configuration(record.payload), configuration);
        case RecordType::kSnapshot:
            return take(decode_snapshot(record.payload), snapshot);
        case RecordType::kTruncate:
            return take(decode_index(record.payload), truncate_after);
        case RecordType::kSession:
            return;
    }
    malformed = true;
}

class Scan {
  public:
    Scan(io::FileSystem& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}

    Result<Recovered> run();

  private:
    struct Opened {
        SegmentInfo info;
        std::unique_ptr<io::File> file;
        SegmentHeader header;
    };

    Result<Opened> open_segment(std::uint64_t sequence);
    Result<std::vector<std::uint64_t>> list_sequences();
    Status check_header(const Opened& opened);
    Status scan_segment(Opened& opened, const std::optional<std::uint64_t>& sealed_end);
    Status check_tail(const SegmentInfo& info, SegmentReader& reader);
    Status apply(SegmentInfo& info, std::uint64_t group, GroupEffect& effect);

    io::FileSystem& fs_;
    const std::string dir_;
    Recovered out_;
};

Result<std::vector<std::uint64_t>> Scan::list_sequences() {
    SLUICE_TRY_ASSIGN(const auto names, fs_.list(dir_));
    std::vector<std::uint64_t> sequences;
    for (const std::string& name : names) {
        if (const std::uint64_t sequence = segment_sequence(name)) sequences.push_back(sequence);
    }
    std::ranges::sort(sequences);
    return sequences;
}

Result<Scan::Opened> Scan::open_segment(std::uint64_t sequence) {
    Opened opened;
    opened.info.path = fmt::format("{}/{}", dir_, segment_name(sequence));
    opened.info.sequence = sequence;
    SLUICE_TRY_ASSIGN(opened.file, fs_.open(opened.info.path, io::OpenMode::kRead));
    SLUICE_TRY_ASSIGN(opened.info.bytes, opened.file->size());
    if (opened.info.bytes < 2 * kBlockBytes)
        return damaged(opened.info, 0, "the file is too short");
    SegmentReader reader(*opened.file, sequence, opened.info.bytes);
    SLUICE_TRY_ASSIGN(const auto block, reader.view(0, kBlockBytes));
    const auto header = decode_segment_header(block);
    const auto version = claimed_version(block);
    if (!header && version && *version > kFormatVersion) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("segment {} has format version {}, this program reads up to {}",
                                opened.info.path, *version, kFormatVersion));
    }
    if (!header || header->sequence != sequence) {
        return damaged(opened.info, 0, "the segment's header is unreadable");
    }
    opened.header = *header;
    return opened;
}

Status Scan::check_header(const Opened& opened) {
    const SegmentHeader& header = opened.header;
    if (header.segment_bytes != opened.info.bytes) {
        return damaged(opened.info, 0,
                       fmt::format("the file has {} bytes instead of {}", opened.info.bytes,
                                   header.segment_bytes));
    }
    if (out_.segments.empty()) {
        out_.index = LogIndex(header.next_index, header.previous_term);
        return {};
    }
    if (header.first_group != out_.end.group || header.session < out_.end.session ||
        header.next_index != out_.index.last_index() + 1) {
        return damaged(opened.info, 0, "the segment does not continue the one before it");
    }
    return {};
}

Status Scan::apply(SegmentInfo& info, std::uint64_t group, GroupEffect& effect) {
    LogIndex& index = out_.index;
    const auto inconsistent = [&] {
        return damaged(info, out_.end.offset,
                       "the records of a group contradict the log before it");
    };
    if (effect.malformed) return inconsistent();
    if (effect.truncate_after) {
        const std::uint64_t kept = *effect.truncate_after;
        if (kept > index.last_index()) return inconsistent();
        // Below the first: the entries that were kept then have been released since.
        if (kept + 1 >= index.first_index())
            index.truncate_after(kept);
        else
            index = LogIndex(kept + 1, 0);
        info.truncate_after(kept);
        for (SegmentInfo& older : out_.segments) older.truncate_after(kept);
        out_.truncations.add(group, kept);
    }
    for (const GroupEffect::Run& run : effect.entries) {
        for (std::uint64_t i = run.first; i <= run.last; ++i) {
            if (!index.follows(i, run.term)) return inconsistent();
            index.append(i, run.term);
        }
    }
    if (effect.hard_state) {
        if (effect.hard_state->term < out_.hard_state.term) return inconsistent();
        out_.hard_state = *effect.hard_state;
    }
    if (effect.configuration) out_.configuration = std::move(*effect.configuration);
    if (effect.snapshot) out_.snapshot = *effect.snapshot;
    return {};
}

// No whole group stands at the end of the newest segment: is that the end, or damage?
Status Scan::check_tail(const SegmentInfo& info, SegmentReader& reader) {
    SLUICE_TRY_ASSIGN(const auto later, find_later_group(reader, out_.end.offset, out_.end.group));
    if (later) {
        return damaged(info, out_.end.offset,
                       fmt::format("no valid record, but a later group at offset {}", *later));
    }
    std::uint64_t offset = out_.end.offset;
    for (;;) {
        SLUICE_TRY_ASSIGN(const auto record, reader.record_at(offset));
        if (!record || record->header.group != out_.end.group) break;
        offset += record->header.extent();
        if (record->header.last) break;
    }
    // The record that broke off counts too, if what is left of it says that it is of this group.
    SLUICE_TRY_ASSIGN(const auto head, reader.view(offset, kRecordHeaderBytes));
    const auto torn = decode_record_header(head);
    if (torn && torn->group == out_.end.group) offset += torn->extent();
    out_.cut_bytes = offset - out_.end.offset;
    return {};
}

Status Scan::scan_segment(Opened& opened, const std::optional<std::uint64_t>& sealed_end) {
    SLUICE_TRY(check_header(opened));
    SegmentInfo info = opened.info;
    info.first_group = opened.header.first_group;
    info.first_session = opened.header.session;
    info.next_index = opened.header.next_index;
    SegmentReader reader(*opened.file, info.sequence, info.bytes);
    out_.end = {.offset = kBlockBytes,
                .group = opened.header.first_group,
                .session = opened.header.session};
    out_.last_group = kBlockBytes;
    while (!sealed_end || out_.end.offset < *sealed_end) {
        GroupEffect effect;
        GroupCursor next = out_.end;
        SLUICE_TRY_ASSIGN(const bool whole, read_group(reader, next, [&](const auto& record) {
                              effect.add(record);
                              return Status{};
                          }));
        if (!whole) {
            if (sealed_end) return damaged(info, out_.end.offset, "no valid record");
            SLUICE_TRY(check_tail(info, reader));
            break;
        }
        SLUICE_TRY(apply(info, out_.end.group, effect));
        info.has_state = info.has_state || effect.snapshot.has_value();
        for (const auto& run : effect.entries) info.max_index = std::max(info.max_index, run.last);
        out_.last_group = out_.end.offset;
        out_.end = next;
    }
    if (sealed_end && out_.end.offset != *sealed_end) {
        return damaged(info, *sealed_end, "the segment does not end where the next one says");
    }
    info.end = out_.end.offset;
    out_.segments.push_back(std::move(info));
    return {};
}

Result<Recovered> Scan::run() {
    SLUICE_TRY_ASSIGN(const auto sequences, list_sequences());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        SLUICE_TRY_ASSIGN(auto opened, open_segment(sequences[i]));
        std::optional<std::uint64_t> sealed_end;
        if (i + 1 < sequences.size()) {
            SLUICE_TRY_ASSIGN(const auto next, open_segment(sequences[i + 1]));
            if (next.info.sequence != opened.info.sequence + 1) {
                return damaged(next.info, 0, "the segment before it is missing");
            }
            sealed_end = next.header.previous_end;
        }
        SLUICE_TRY(scan_segment(opened, sealed_end));
    }
    return std::move(out_);
}

}  // namespace

void Truncations::add(std::uint64_t group, std::uint64_t kept) {
    SLUICE_CHECK(cuts_.empty() || cuts_.back().group < group);
    while (!cuts_.empty() && cuts_.back().kept >= kept) cuts_.pop_back();
    cuts_.push_back({group, kept});
}

bool Truncations::dropped(std::uint64_t group, std::uint64_t index) const {
    // The first cut after the group keeps the least of all that follow.
    const auto cut = std::ranges::upper_bound(cuts_, group, {}, &Cut::group);
    return cut != cuts_.end() && index > cut->kept;
}

std::string segment_name(std::uint64_t sequence) {
    SLUICE_CHECK(sequence > 0);
    return fmt::format("{:016x}{}", sequence, kSuffix);
}

std::uint64_t segment_sequence(const std::string& name) {
    if (name.size() != kSequenceDigits + kSuffix.size() || !name.ends_with(kSuffix)) return 0;
    std::uint64_t sequence = 0;
    const char* end = name.data() + kSequenceDigits;
    const auto [at, error] = std::from_chars(name.data(), end, sequence, 16);
    return error == std::errc() && at == end ? sequence : 0;
}

Result<Recovered> recover(io::FileSystem& fs, const std::string& dir) {
    return Scan(fs, dir).run();
}

}  // namespace sluice::storage::wal
