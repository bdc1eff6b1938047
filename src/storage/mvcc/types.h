// The records of the multi-version store, as its callers see them.
//
// A revision is a store-wide counter: every write transaction takes the next one ("main"), and the
// changes inside one transaction are numbered from 0 ("sub"). An empty store is at revision 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::storage {

using Revision = std::int64_t;
using LeaseId = std::int64_t;  // 0: no lease

struct KeyValue {
    std::string key;
    std::string value;
    Revision create_revision = 0;  // main revision of the put that created the key
    Revision mod_revision = 0;     // main revision of the last change
    std::int64_t version = 0;      // number of puts since creation; 0 for a deleted key
    LeaseId lease = 0;

    bool operator==(const KeyValue&) const = default;
};

// One change of one key. For a delete, kv holds the key and the revision of the delete, no more.
struct Event {
    enum class Type : std::uint8_t { kPut = 0, kDelete = 1 };

    Type type = Type::kPut;
    std::uint32_t sub = 0;  // position within the transaction
    KeyValue kv;
    KeyValue prev;           // before the transaction; version == 0: the key did not exist
    bool prev_known = true;  // false: the previous version has been compacted away
};

// All changes of one transaction, in order of sub. Watchers get these whole.
struct EventBatch {
    Revision revision = 0;
    std::vector<Event> events;
};

}  // namespace sluice::storage
