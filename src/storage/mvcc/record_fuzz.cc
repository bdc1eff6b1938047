// The store's formats: any bytes are refused or read without leaving them, and what our encoders
// write is read back, with the jump pointers that a plain walk over the key's history finds.
//   mvcc_record_fuzz test/corpus/mvcc_record_fuzz
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/fuzz_input_testing.h"
#include "storage/mvcc/record.h"

namespace {

using namespace sluice;
using namespace sluice::storage;

void read_any(std::string_view bytes) {
    RecordView record;
    Position position;
    bool tombstone = false;
    if (parse_record(bytes, record)) {
        SLUICE_CHECK(parse_record_position(bytes, position, tombstone));
        SLUICE_CHECK(position == record.position && tombstone == record.tombstone);
        SLUICE_CHECK(record.jumps <= kJumpLevels);
        SLUICE_CHECK(record.value.size() <= bytes.size());
    }
    LogEntryView entry;
    if (parse_log_entry(bytes, entry))
        SLUICE_CHECK(entry.key.size() + entry.previous.size() + 3 <= bytes.size());
    StoreState state;
    if (parse_state(bytes, state)) {
        char again[kStateBytes];
        encode_state(state, again);
        SLUICE_CHECK(std::string_view(again, kStateBytes) == bytes);
    }
    if (parse_position(bytes, position)) {
        char again[kPositionKeyBytes];
        encode_position(position, again);
        SLUICE_CHECK(std::string_view(again, kPositionKeyBytes) == bytes);
    }
}

// The newest version before the last whose depth is a multiple of 8, 64, ...
void check_jumps(const RecordView& record, const std::vector<Position>& history) {
    std::size_t step = 1;
    for (unsigned level = 0; level < kJumpLevels; ++level) {
        step <<= kJumpShift;
        const std::size_t depth = history.size() / step * step;
        if (depth == 0) {
            SLUICE_CHECK(record.jumps <= level);
            return;
        }
        SLUICE_CHECK(record.jumps > level && record.jump[level] == history[depth - 1]);
    }
}

void check_log_entry(const RecordView& record, std::string_view bytes) {
    char head[12];
    const std::string key(record.depth % 300, 'k');
    const std::size_t size = encode_log_head(record.tombstone, true, key.size(), head);
    const std::string text = std::string(head, size) + key + std::string(bytes);
    LogEntryView entry;
    SLUICE_CHECK(parse_log_entry(text, entry));
    SLUICE_CHECK(entry.is_delete == record.tombstone && entry.key == key);
    SLUICE_CHECK(entry.previous == bytes);
}

// A history of one key: each byte pair is a version.
void write_history(FuzzInput input) {
    std::vector<Position> history;
    std::string previous;
    RecordView last;
    Position at{.main = 1, .sub = 0};
    while (!input.empty() && history.size() < 700) {
        const std::uint8_t shape = input.byte();
        if ((shape & 1) != 0 && at.sub < UINT32_MAX) {
            ++at.sub;
        } else {
            at = {at.main + 1 + (Revision{input.byte()} << (shape >> 3)), 0};
        }
        const std::string value((shape & 4) != 0 ? input.byte() : 0, 'v');
        const NewRecord record{.position = at,
                               .tombstone = (shape & 2) != 0,
                               .create_revision = at.main - (shape >> 4) % at.main,
                               .version = 1 + (std::int64_t{1} << (shape >> 3)),
                               .lease = (shape & 4) != 0 ? -1 - Revision{shape} : 0,
                               .value = value};
        std::string bytes(kRecordHeadBytesMax + value.size(), '\0');
        bytes.resize(encode_record(record, history.empty() ? nullptr : &last, bytes.data()));
        RecordView read;
        SLUICE_CHECK(parse_record(bytes, read));
        SLUICE_CHECK(read.position == at && read.tombstone == record.tombstone);
        SLUICE_CHECK(read.depth == history.size() + 1);
        check_jumps(read, history);
        if (!record.tombstone) {
            SLUICE_CHECK(read.create_revision == record.create_revision);
            SLUICE_CHECK(read.version == record.version && read.lease == record.lease);
            SLUICE_CHECK(read.value == value);
        }
        check_log_entry(read, bytes);
        history.push_back(at);
        previous = std::move(bytes);
        SLUICE_CHECK(parse_record(previous, last));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    read_any(bytes);
    write_history(FuzzInput(bytes));
    return 0;
}
