#include "etcd/branch_conflicts.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;
using Branch = google::protobuf::RepeatedPtrField<pb::RequestOp>;

constexpr int kFewOperations = 8;

// A union of intervals of keys, kept as disjoint pieces.
class KeyIntervals {
  public:
    // A single key if `end` is empty; nothing if the interval is empty. "\0" (to the end of the
    // keys) counts as an empty one, as in etcd's check.
    void add(std::string_view begin, std::string_view end) {
        if (end.empty()) {
            insert(begin, {begin, true});
        } else if (begin < end) {
            insert(begin, {end, false});
        }
    }
    void add(const KeyIntervals& other) {
        for (const auto& [begin, end] : other.pieces_) insert(begin, end);
    }
    bool contains(std::string_view key) const {
        const auto after = pieces_.upper_bound(key);
        return after != pieces_.begin() && std::prev(after)->second.holds(key);
    }

  private:
    struct End {
        std::string_view key;
        bool inclusive = false;

        bool holds(std::string_view other) const {
            return other < key || (inclusive && other == key);
        }
        bool operator<(const End& other) const {
            return key < other.key || (key == other.key && !inclusive && other.inclusive);
        }
    };

    void insert(std::string_view begin, End end) {
        auto piece = pieces_.upper_bound(begin);
        if (piece != pieces_.begin() && begin <= std::prev(piece)->second.key) {
            --piece;
            begin = piece->first;
        }
        // Swallows every piece that begins inside or where this one ends.
        while (piece != pieces_.end() && piece->first <= end.key) {
            if (end < piece->second) end = piece->second;
            piece = pieces_.erase(piece);
        }
        pieces_.emplace_hint(piece, begin, end);
    }

    std::map<std::string_view, End> pieces_;  // by begin
};

// What a branch writes, its nested transactions included.
struct Writes {
    std::set<std::string_view> puts;
    KeyIntervals deletes;
};

bool collect(const Branch& branch, Writes& writes);

// Adds what a nested transaction writes; false if it contradicts itself or the writes so far.
bool collect_nested(const pb::TxnRequest& nested, Writes& writes) {
    Writes success;
    Writes failure;
    if (!collect(nested.success(), success) || !collect(nested.failure(), failure)) return false;
    for (const auto* side : {&success, &failure}) {
        for (const std::string_view key : side->puts) {
            if (writes.puts.contains(key) || writes.deletes.contains(key)) return false;
        }
    }
    // Merged only now: the two branches may put the same key.
    writes.puts.merge(success.puts);
    writes.puts.merge(failure.puts);
    writes.deletes.add(success.deletes);
    writes.deletes.add(failure.deletes);
    return true;
}

// Fills `writes` with what the branch writes; false if it contradicts itself. The order is etcd's,
// because the outcome depends on it: a nested put is held against this level's deletes and those
// of the nested transactions before it, this level's puts against all.
bool collect(const Branch& branch, Writes& writes) {
    for (const pb::RequestOp& op : branch) {
        if (!op.has_request_delete_range()) continue;
        const pb::DeleteRangeRequest& request = op.request_delete_range();
        writes.deletes.add(request.key(), request.range_end());
    }
    for (const pb::RequestOp& op : branch) {
        if (op.has_request_txn() && !collect_nested(op.request_txn(), writes)) return false;
    }
    for (const pb::RequestOp& op : branch) {
        if (!op.has_request_put()) continue;
        const std::string_view key = op.request_put().key();
        if (!writes.puts.insert(key).second || writes.deletes.contains(key)) return false;
    }
    return true;
}

bool few_plain_puts(const Branch& branch) {
    return branch.size() <= kFewOperations && std::ranges::all_of(branch, [](const auto& op) {
               return !op.has_request_delete_range() && !op.has_request_txn();
           });
}

}  // namespace

bool has_conflict(const Branch& branch) {
    if (branch.size() <= 1 && (branch.empty() || !branch[0].has_request_txn())) return false;
    if (few_plain_puts(branch)) {
        for (int i = 0; i < branch.size(); ++i) {
            for (int j = i + 1; j < branch.size(); ++j) {
                if (branch[i].has_request_put() && branch[j].has_request_put() &&
                    branch[i].request_put().key() == branch[j].request_put().key()) {
                    return true;
                }
            }
        }
        return false;
    }
    Writes writes;
    return !collect(branch, writes);
}

}  // namespace sluice::etcd
