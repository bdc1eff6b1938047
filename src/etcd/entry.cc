#include "etcd/entry.h"

#include <utility>

#include "base/check.h"
#include "etcd/protobuf_wire.h"

namespace sluice::etcd {
namespace {

using wire::Reader;
using wire::Type;

constexpr std::uint32_t kHeaderField = 1;  // proto/sluice/internal.proto

bool is_kind(std::uint32_t field) {
    return field >= static_cast<std::uint32_t>(EntryKind::kPut) &&
           field <= static_cast<std::uint32_t>(EntryKind::kAlarm);
}

// False also for kinds that EntryKind does not name, and for an empty payload.
bool decode(std::string_view payload, EntryView& out) {
    bool has_header = false;
    bool has_request = false;
    Reader reader(payload);
    while (reader.next()) {
        const std::uint32_t field = reader.raw_tag() >> 3;
        if (reader.is(kHeaderField, Type::kBytes)) {
            if (std::exchange(has_header, true)) return false;
            reader.skip();
        } else if (is_kind(field) && reader.is(field, Type::kBytes)) {
            if (std::exchange(has_request, true)) return false;
            out.kind = static_cast<EntryKind>(field);
            out.request = reader.bytes();
        } else {
            return false;  // a kind of a newer version
        }
    }
    return reader.finished() && has_request;
}

}  // namespace

EntryHead::EntryHead(EntryKind kind, std::size_t size) noexcept {
    const char* const end =
        wire::write_nested_head(bytes_.data(), static_cast<std::uint32_t>(kind), size);
    size_ = static_cast<std::uint8_t>(end - bytes_.data());
    SLUICE_ASSERT(size_ <= bytes_.size());
}

Result<EntryView> read_entry(std::string_view payload) {
    EntryView entry;
    if (decode(payload, entry)) return entry;
    return fail(Code::kDataLoss, "a log entry is not a request that this version knows");
}

}  // namespace sluice::etcd
