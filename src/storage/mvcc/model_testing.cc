#include "storage/mvcc/model_testing.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::storage {

bool in_range(const std::string& key, std::string_view begin, std::string_view end) {
    if (end.empty()) return key == begin;
    return key >= begin && (end == std::string_view("\0", 1) || key < end);
}

void Model::begin_txn() {
    SLUICE_CHECK(changes_ == 0);
}

KeyValue Model::put(const std::string& key, const std::string& value, LeaseId lease) {
    const Revision main = revision_ + 1;
    const auto before = at(key, main);
    KeyValue kv{key,
                value,
                before ? before->create_revision : main,
                main,
                before ? before->version + 1 : 1,
                lease};
    Event event;
    event.sub = changes_++;
    event.kv = kv;
    if (before) event.prev = at(key, revision_).value_or(KeyValue{});
    open_.events.push_back(event);
    versions_[key].push_back({main, false, kv});
    return before.value_or(KeyValue{});
}

std::vector<KeyValue> Model::delete_range(const std::string& key, const std::string& end) {
    const Revision main = revision_ + 1;
    std::vector<KeyValue> gone;
    for (auto& [name, versions] : versions_) {
        if (!in_range(name, key, end)) continue;
        const auto before = at(name, main);
        if (!before) continue;
        gone.push_back(*before);
        Event event;
        event.type = Event::Type::kDelete;
        event.sub = changes_++;
        event.kv.key = name;
        event.kv.mod_revision = main;
        event.prev = at(name, revision_).value_or(KeyValue{});
        open_.events.push_back(event);
        versions.push_back({main, true, event.kv});
    }
    return gone;
}

bool Model::end_txn(EventBatch* events) {
    const bool changed = changes_ > 0;
    if (changed) {
        open_.revision = ++revision_;
        log_[revision_] = open_;
        if (events != nullptr) *events = open_;
    }
    open_ = {};
    changes_ = 0;
    return changed;
}

void Model::compact(Revision revision) {
    SLUICE_CHECK(revision > compacted_ && revision <= revision_);
    compacted_ = revision;
}

std::optional<KeyValue> Model::at(const std::string& key, Revision revision) const {
    const auto it = versions_.find(key);
    if (it == versions_.end()) return std::nullopt;
    for (auto v = it->second.rbegin(); v != it->second.rend(); ++v) {
        if (v->main <= revision) return v->deleted ? std::nullopt : std::optional(v->kv);
    }
    return std::nullopt;
}

std::int64_t Model::keys() const {
    return range({.key = {"\0", 1}, .range_end = {"\0", 1}}).count;
}

// Etcd's steps in etcd's order: fetch (cut by limit + 1 unless something needs all), filter, sort,
// cut.
RangeResult Model::range(const RangeQuery& query) const {
    RangeResult out;
    out.revision = read_revision();
    const Revision revision = query.revision > 0 ? query.revision : read_revision();
    for (const auto& [key, versions] : versions_) {
        if (!in_range(key, query.key, query.range_end)) continue;
        if (const auto kv = at(key, revision)) out.kvs.push_back(*kv);
    }
    out.count = static_cast<std::int64_t>(out.kvs.size());
    if (query.count_only) {
        out.kvs.clear();
        return out;
    }
    const bool filters = query.min_mod_revision != 0 || query.max_mod_revision != 0 ||
                         query.min_create_revision != 0 || query.max_create_revision != 0;
    const bool plain = query.order == SortOrder::kNone ||
                       (query.target == SortTarget::kKey && query.order == SortOrder::kAscend);
    const auto limit = static_cast<std::size_t>(query.limit);
    if (limit > 0 && plain && !filters && out.kvs.size() > limit + 1) out.kvs.resize(limit + 1);
    std::erase_if(out.kvs, [&](const KeyValue& kv) {
        return (query.max_mod_revision != 0 && kv.mod_revision > query.max_mod_revision) ||
               (query.min_mod_revision != 0 && kv.mod_revision < query.min_mod_revision) ||
               (query.max_create_revision != 0 && kv.create_revision > query.max_create_revision) ||
               (query.min_create_revision != 0 && kv.create_revision < query.min_create_revision);
    });
    const bool down = query.order == SortOrder::kDescend;
    const auto less = [&](const KeyValue& a, const KeyValue& b) {
        switch (query.target) {
            case SortTarget::kVersion:
                return a.version < b.version;
            case SortTarget::kCreate:
                return a.create_revision < b.create_revision;
            case SortTarget::kMod:
                return a.mod_revision < b.mod_revision;
            case SortTarget::kValue:
                return a.value < b.value;
            default:
                return a.key < b.key;
        }
    };
    std::sort(out.kvs.begin(), out.kvs.end(), [&](const KeyValue& a, const KeyValue& b) {
        if (less(a, b)) return !down;
        if (less(b, a)) return down;
        return a.key < b.key;
    });
    if (limit > 0 && out.kvs.size() > limit) {
        out.kvs.resize(limit);
        out.more = true;
    }
    if (query.keys_only) {
        for (auto& kv : out.kvs) {
            kv.value.clear();
            if (query.target != SortTarget::kValue) kv.lease = 0;
        }
    }
    return out;
}

std::vector<EventBatch> Model::history(Revision from, Revision to,
                                       const HistoryQuery& query) const {
    std::vector<EventBatch> out;
    for (auto it = log_.lower_bound(from); it != log_.end() && it->first <= to; ++it) {
        EventBatch batch{it->first, {}};
        for (const Event& event : it->second.events) {
            bool wanted = query.ranges.empty();
            for (const auto& range : query.ranges) {
                wanted = wanted || in_range(event.kv.key, range.key, range.range_end);
            }
            if (!wanted) continue;
            Event copy = event;
            copy.prev_known = event.kv.mod_revision - 1 >= compacted_;
            if (!copy.prev_known || !query.with_prev) copy.prev = {};
            batch.events.push_back(copy);
        }
        if (!batch.events.empty()) out.push_back(batch);
    }
    return out;
}

std::vector<std::string> Model::keys_of_lease(LeaseId lease) const {
    std::vector<std::string> out;
    for (const auto& [key, versions] : versions_) {
        const auto kv = at(key, read_revision());
        if (kv && kv->lease == lease) out.push_back(key);
    }
    return out;
}

std::string to_text(const KeyValue& kv) {
    return kv.key + "=" + kv.value.substr(0, 20) + "(" + std::to_string(kv.value.size()) + ") c" +
           std::to_string(kv.create_revision) + " m" + std::to_string(kv.mod_revision) + " v" +
           std::to_string(kv.version) + " l" + std::to_string(kv.lease);
}

std::string to_text(const std::vector<KeyValue>& kvs) {
    std::string out;
    for (const auto& kv : kvs) out += to_text(kv) + "\n";
    return out;
}

std::string to_text(const std::vector<EventBatch>& batches) {
    std::string out;
    for (const auto& batch : batches) {
        out += "revision " + std::to_string(batch.revision) + "\n";
        for (const Event& event : batch.events) {
            out += "  " + std::to_string(event.sub) +
                   (event.type == Event::Type::kPut ? " put " : " delete ") + to_text(event.kv) +
                   " before: " + (event.prev_known ? to_text(event.prev) : "unknown") + "\n";
        }
    }
    return out;
}

}  // namespace sluice::storage
