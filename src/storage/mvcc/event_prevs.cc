#include "storage/mvcc/event_prevs.h"

#include <string_view>
#include <unordered_map>

namespace sluice::storage {

void take_prevs_before_txn(EventBatch& batch) {
    std::unordered_map<std::string_view, const Event*> first;
    for (Event& event : batch.events) {
        if (event.prev.version == 0 || event.prev.mod_revision != batch.revision) continue;
        if (first.empty()) {
            for (const Event& each : batch.events) first.try_emplace(each.kv.key, &each);
        }
        event.prev = first.at(event.kv.key)->prev;
    }
}

}  // namespace sluice::storage
