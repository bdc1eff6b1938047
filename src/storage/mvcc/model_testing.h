// A plain reference of what the store promises, for tests: every version of every key in a map, and
// each answer by walking it. Slow, and short enough to be seen to be right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/temporary_dir_testing.h"
#include "storage/mvcc/applier.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/store.h"
#include "storage/mvcc/types.h"

namespace sluice::storage {

class Model {
  public:
    void begin_txn();
    KeyValue put(const std::string& key, const std::string& value,
                 LeaseId lease);  // the pair before
    std::vector<KeyValue> delete_range(const std::string& key, const std::string& end);
    bool end_txn(EventBatch* events);

    Revision revision() const { return revision_; }
    Revision read_revision() const { return changes_ > 0 ? revision_ + 1 : revision_; }
    Revision compacted() const { return compacted_; }
    void compact(Revision revision);
    std::int64_t keys() const;

    std::optional<KeyValue> at(const std::string& key, Revision revision) const;
    RangeResult range(const RangeQuery& query) const;
    std::vector<EventBatch> history(Revision from, Revision to, const HistoryQuery& query) const;
    std::vector<std::string> keys_of_lease(LeaseId lease) const;

  private:
    struct Version {
        Revision main = 0;
        bool deleted = false;
        KeyValue kv;
    };
    std::map<std::string, std::vector<Version>> versions_;  // ascending
    std::map<Revision, EventBatch> log_;
    Revision revision_ = 1;
    Revision compacted_ = -1;
    std::uint32_t changes_ = 0;
    EventBatch open_;
};

bool in_range(const std::string& key, std::string_view begin, std::string_view end);

// How results look in a failed test.
std::string to_text(const KeyValue& kv);
std::string to_text(const std::vector<KeyValue>& kvs);
std::string to_text(const std::vector<EventBatch>& batches);

}  // namespace sluice::storage
