// The payload of a log entry: one sluice.internal.Request (proto/sluice/internal.proto), of which
// this side only needs which request it is and where its bytes lie.
//
// A local proposal logs the client's own bytes behind a head of a few bytes, so that nothing is
// encoded again: head = the oneof's tag and length, body = the request message.
// docs/formats/entries.md draws it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace sluice::etcd {

// The field of sluice.internal.Request that carries the request.
enum class EntryKind : std::uint32_t {
    kPut = 3,
    kDeleteRange = 4,
    kTxn = 5,
    kCompaction = 6,
    kLeaseGrant = 7,
    kLeaseRevoke = 8,
    kLeaseExpire = 9,
    kLeaseCheckpoint = 10,
    kAlarm = 11,
};

struct EntryView {
    EntryKind kind = EntryKind::kPut;
    std::string_view request = {};  // the serialised request
};

// The bytes before a body of `size` bytes.
class EntryHead {
  public:
    EntryHead(EntryKind kind, std::size_t size) noexcept;
    std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }

  private:
    std::array<char, 12> bytes_;
    std::uint8_t size_ = 0;
};

// Finds kind and request in a payload that lies in one piece. kDataLoss: it is not a Request, or
// one of a newer version.
Result<EntryView> read_entry(std::string_view payload);

}  // namespace sluice::etcd
