// A log of records with valid checksums in an order that no writer made, and with damage: opening
// it either refuses with an error that names the segment, or gives a log that can be read, written
// and opened again with the same content. Nothing crashes, and nothing is made up.
//   wal_recovery_fuzz test/corpus/wal_recovery_fuzz
//
// Input: a program. One byte chooses an operation, the next ones are its arguments; most numbers
// are what a writer would write plus a difference that is usually 0, so that many logs are almost
// right.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/fuzz_input_testing.h"
#include "storage/wal/fault_file_testing.h"
#include "storage/wal/format.h"
#include "storage/wal/recovery.h"
#include "storage/wal/wal.h"

namespace {

using namespace sluice;
using namespace sluice::storage;
using namespace sluice::storage::wal;

constexpr std::size_t kSegmentsMax = 4;
constexpr std::size_t kSegmentBlocks = 8;

std::span<std::byte> bytes_of(std::string& text) {
    return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

class LogMaker {
  public:
    explicit LogMaker(std::string_view program) : input_(program) {}

    void make(io::FileSystem& fs) {
        SLUICE_CHECK(fs.create_dir("wal").has_value());
        begin_segment();
        while (!input_.empty() && sequence_ <= kSegmentsMax) operation();
        end_group();
        for (std::size_t i = 0; i < files_.size(); ++i) {
            auto file = fs.open("wal/" + segment_name(i + 1), io::OpenMode::kCreateNew);
            SLUICE_CHECK(file.has_value());
            SLUICE_CHECK((*file)->pwrite(bytes_of(files_[i]), 0).has_value());
            SLUICE_CHECK((*file)->fdatasync().has_value());
        }
        SLUICE_CHECK(fs.sync_dir("wal").has_value());
        SLUICE_CHECK(fs.sync_dir("").has_value());
    }

  private:
    std::uint8_t byte() { return input_.byte(); }
    // The number that belongs here, or one that differs by up to 4, or a corner.
    std::uint64_t near(std::uint64_t value) {
        const std::uint8_t how = byte();
        if (how < 0xf0) return value + (how & 7) - 4 * ((how >> 3) & 1);
        static constexpr std::uint64_t kCorners[] = {
            0, 1, 1ull << 32, 1ull << 63, UINT64_MAX - 1, UINT64_MAX};
        return kCorners[how % std::size(kCorners)];
    }
    std::string& file() { return files_.back(); }

    void begin_segment() {
        SegmentHeader header{.session = static_cast<std::uint32_t>(near(session_)),
                             .sequence = near(sequence_ + 1),
                             .segment_bytes = near(kSegmentBlocks * kBlockBytes),
                             .first_group = near(group_),
                             .previous_end = near(sequence_ == 0 ? 0 : offset_),
                             .next_index = near(index_ + 1),
                             .previous_term = near(term_)};
        ++sequence_;
        group_ = header.first_group;
        index_ = header.next_index - 1;
        files_.emplace_back(kSegmentBlocks * kBlockBytes, '\0');
        encode_segment_header(header, bytes_of(file()).first(kBlockBytes));
        offset_ = kBlockBytes;
        begin_ = 0;
    }

    void record(RecordType type, const std::string& payload) {
        const std::size_t size = kRecordHeaderBytes + payload.size();
        if (offset_ + align_up(size, kRecordAlign) > file().size()) return;
        begin_ = offset_;
        header_ = {.payload_bytes = static_cast<std::uint32_t>(payload.size()),
                   .group = near(group_),
                   .session = static_cast<std::uint32_t>(near(session_)),
                   .type = type,
                   .last = false};
        file().replace(begin_ + kRecordHeaderBytes, payload.size(), payload);
        seal();
        offset_ += header_.extent();
    }
    void seal() {
        const std::size_t size = kRecordHeaderBytes + header_.payload_bytes;
        seal_record(bytes_of(file()).subspan(begin_, size), header_, sequence_);
    }
    // Makes the record before this the last of its group.
    void end_group() {
        if (begin_ == 0) return;
        header_.last = true;
        seal();
        begin_ = 0;
        offset_ = align_up(offset_, kBlockBytes);
        ++group_;
    }

    void entry() {
        LogEntry entry{.term = near(term_), .index = near(index_ + 1)};
        entry.type = static_cast<EntryType>(byte() % 4);
        std::string payload(kEntryHeaderBytes, '\0');
        encode_entry_header(entry, bytes_of(payload));
        term_ = entry.term;
        index_ = entry.index;
        record(RecordType::kEntry, payload + std::string(byte() * 8u, 'e'));
    }
    void configuration() {
        Configuration configuration;
        for (auto* part : {&configuration.voters, &configuration.learners})
            for (unsigned count = byte() % 8; count > 0; --count) part->push_back(byte());
        record(RecordType::kConfiguration, encode_configuration(configuration));
    }
    // One byte of the segment is another.
    void damage() {
        const std::size_t at = (std::size_t{byte()} << 8 | byte()) % file().size();
        file()[at] = static_cast<char>(file()[at] ^ (1 + byte() % 255));
    }

    void operation() {
        switch (byte() % 12) {
            case 0:
            case 1:
                return entry();
            case 2:
            case 3:
                return end_group();
            case 4:
                return record(RecordType::kHardState,
                              encode_hard_state(
                                  {.term = near(term_), .vote = byte(), .commit = near(index_)}));
            case 5:
                return configuration();
            case 6:
                return record(RecordType::kSnapshot,
                              encode_snapshot({.index = near(index_), .term = near(term_)}));
            case 7: {
                index_ = near(index_);
                return record(RecordType::kTruncate, encode_index(index_));
            }
            case 8: {
                ++session_;
                return record(RecordType::kSession, {});
            }
            case 9:
                return record(static_cast<RecordType>(1 + byte() % 6),
                              std::string(byte() % 64, static_cast<char>(byte())));
            case 10:
                return damage();
            default:
                end_group();
                return begin_segment();
        }
    }

    FuzzInput input_;
    std::vector<std::string> files_;
    RecordHeader header_;
    std::uint64_t sequence_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t begin_ = 0;  // of the group's last record; 0: it has none
    std::uint64_t group_ = 1;
    std::uint64_t index_ = 0;
    std::uint64_t term_ = 1;
    std::uint32_t session_ = 1;
};

struct Content {
    std::vector<std::pair<std::uint64_t, std::string>> entries;  // term and payload
    HardState hard_state;
    Configuration configuration;
    SnapshotMark snapshot;

    bool operator==(const Content&) const = default;
};

Content content(Wal& wal) {
    Content content{.entries = {},
                    .hard_state = wal.hard_state(),
                    .configuration = wal.configuration(),
                    .snapshot = wal.snapshot()};
    std::uint64_t index = wal.first_index();
    const Status status =
        wal.replay(index - 1, wal.last_index(), [&](const LogEntry& entry) -> Status {
            SLUICE_CHECK(entry.index == index++);
            SLUICE_CHECK(entry.term == wal.term_at(entry.index));
            content.entries.emplace_back(entry.term, entry.body);
            return {};
        });
    SLUICE_CHECK(status.has_value());
    SLUICE_CHECK(index == wal.last_index() + 1);
    return content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    FaultFileSystem fs(1);
    LogMaker({reinterpret_cast<const char*>(data), size}).make(fs);
    const WalOptions options = {.dir = "wal",
                                .segment_bytes = kSegmentBlocks * kBlockBytes,
                                .first_segment_bytes = kSegmentBlocks * kBlockBytes,
                                .prepare_in_background = false};
    Content before;
    {
        auto wal = Wal::open(fs, options);
        if (!wal) {
            const Error& error = wal.error();
            SLUICE_CHECK(error.code() == Code::kDataLoss ||
                         error.code() == Code::kFailedPrecondition);
            SLUICE_CHECK(error.message().find("segment wal/") != std::string::npos);
            return 0;
        }
        before = content(**wal);
        const LogEntry entry{
            .term = std::max<std::uint64_t>(1, (*wal)->term_at((*wal)->last_index())),
            .index = (*wal)->last_index() + 1,
            .body = "new"};
        SLUICE_CHECK((*wal)->write({.entries = {&entry, 1}}).has_value());
        SLUICE_CHECK((*wal)->sync().has_value());
        before.entries.emplace_back(entry.term, "new");
    }
    fs.power_loss();
    auto again = Wal::open(fs, options);
    if (!again) std::fprintf(stderr, "%s\n", again.error().message().c_str());
    SLUICE_CHECK(again.has_value());
    SLUICE_CHECK(content(**again) == before);
    return 0;
}
