// The messages of the hot paths without protobuf: requests decoded to views into the receive
// buffer, responses written straight into the send buffer.
//
// Each decode function returns true if it has read the message, with exactly the fields that
// protobuf would give; false means only: not here. The caller then parses with protobuf, which also
// says whether the bytes are malformed. (False comes for malformed bytes, for groups, and for the
// shapes named below; never for what the usual clients send.)
//
//   PutView put;
//   if (decode(bytes, put)) { SLUICE_TRY(check(put)); propose(...); }
//   else { etcdserverpb::PutRequest request; if (!request.ParseFromArray(...)) ...
//
// Any thread; no allocation, no copy, no suspension. Cost: wire_codec_bench.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "etcd/key_value_wire.h"

namespace sluice::etcd {

// ---- requests; fields as in proto/etcdserverpb/kv.proto

struct PutView {
    std::string_view key = {};
    std::string_view value = {};
    std::int64_t lease = 0;
    bool prev_kv = false;
    bool ignore_value = false;
    bool ignore_lease = false;
};

struct RangeView {
    std::string_view key = {};
    std::string_view range_end = {};
    std::int64_t limit = 0;
    std::int64_t revision = 0;
    std::int32_t sort_order = 0;
    std::int32_t sort_target = 0;
    bool serializable = false;
    bool keys_only = false;
    bool count_only = false;
    std::int64_t min_mod_revision = 0;
    std::int64_t max_mod_revision = 0;
    std::int64_t min_create_revision = 0;
    std::int64_t max_create_revision = 0;
};

struct DeleteRangeView {
    std::string_view key = {};
    std::string_view range_end = {};
    bool prev_kv = false;
};

// The transaction that Kubernetes sends for every write: if the key's mod_revision is the expected
// one, put or delete, else read. Any other transaction is not decoded.
struct CompareAndSwapView {
    std::string_view key = {};
    std::int64_t mod_revision = 0;  // expected; 0: the key must not exist
    // Exactly one of the first two.
    std::optional<PutView> put;
    std::optional<DeleteRangeView> delete_range;
    std::optional<RangeView> otherwise;
};

bool decode(std::string_view bytes, PutView& out);
bool decode(std::string_view bytes, RangeView& out);
bool decode(std::string_view bytes, DeleteRangeView& out);
bool decode(std::string_view bytes, CompareAndSwapView& out);

// The same rules as check_put etc. in checks.h; those of a CompareAndSwapView as in check_txn.
Status check(const PutView& request);
Status check(const RangeView& request);
Status check(const DeleteRangeView& request);
Status check(const CompareAndSwapView& request);

// ---- log entries (docs/formats/entries.md): a request goes into the log as the client sent it

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
    std::uint64_t id = 0;  // of the proposal
    std::string_view username = {};
    std::uint64_t auth_revision = 0;
    EntryKind kind = EntryKind::kPut;
    std::string_view request = {};  // the serialised request
};

// Appends the payload to *out.
void append_entry(const EntryView& entry, std::string& out);
// False also for kinds that EntryKind does not name, and for an empty payload.
bool decode(std::string_view payload, EntryView& out);

// ---- responses; each appends the serialised message to *out

void append_put_response(const ResponseHead& head, const KeyValueView* prev_kv, std::string& out);
// A range of at most one key; kv null: none found (or count_only). `more` is never set here.
void append_range_response(const ResponseHead& head, const KeyValueView* kv, std::int64_t count,
                           std::string& out);
void append_delete_response(const ResponseHead& head, std::int64_t deleted,
                            const KeyValueView* prev_kv, std::string& out);
// The answer to a CompareAndSwapView: its put or delete (`deleted` counts) or its range, whose kv
// is null if the key does not exist.
struct SwapOutcome {
    bool succeeded = false;
    bool was_delete = false;  // of the branch that ran, if it succeeded
    bool has_range = false;   // if it failed: whether there was a range to answer
    std::int64_t deleted = 0;
    const KeyValueView* kv = nullptr;  // prev_kv if succeeded, else what the range found
};
void append_swap_response(const ResponseHead& head, const SwapOutcome& outcome, std::string& out);

}  // namespace sluice::etcd
