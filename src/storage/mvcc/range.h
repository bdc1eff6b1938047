// How a reader asks the store for keys: RangeQuery in, KvView (or KeyValue) out, in slices.
//
// Key ranges follow etcd: range_end empty = the one key; range_end == "\0" (one zero byte) = every
// key from `key` on; otherwise [key, range_end).
//
// A read is done in one of two tiers. kMemory looks only at what is in memory (caches, memtables):
// it never touches the disk, so a fiber may call it on its worker; where it would have to read the
// disk it says kWouldBlock. The caller then repeats *that call* on the blocking pool with kAny.
//
//   RangeCursor cursor(store, query);                 // pins one revision of the store
//   for (;;) {
//       auto step = cursor.next(ReadTier::kMemory, {}, sink);
//       if (step && *step == ReadStep::kWouldBlock)
//           step = rt::blocking([&] { return cursor.next(ReadTier::kAny, {}, sink); });
//       if (!step) return fail(step.error());
//       if (*step == ReadStep::kDone) break;
//       rt::checkpoint();                             // kMore: one slice is done
//   }
//
// Neither call suspends. A slice of n keys costs about 1-3 us plus 0.4 us a key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "storage/mvcc/types.h"

namespace sluice::storage {

class MvccStore;

enum class ReadTier : std::uint8_t {
    kMemory,  // caches and memtables only; never blocks on the disk
    kAny,     // may read the disk: call it on the blocking pool
};

enum class ReadStep : std::uint8_t {
    kDone,        // the read is complete
    kMore,        // the slice is full; call again
    kWouldBlock,  // the disk is needed; nothing was lost, call again with ReadTier::kAny
};

enum class SortOrder : std::uint8_t { kNone = 0, kAscend = 1, kDescend = 2 };
enum class SortTarget : std::uint8_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };

// One pair as it lies in the store. The bytes live only as long as the call that hands it out.
struct KvView {
    std::string_view key;
    std::string_view value;
    Revision create_revision = 0;
    Revision mod_revision = 0;
    std::int64_t version = 0;
    LeaseId lease = 0;

    static KvView of(const KeyValue& kv) noexcept {
        return {kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease};
    }
    KeyValue copy() const {
        return {
            std::string(key), std::string(value), create_revision, mod_revision, version, lease};
    }
};

// Receives pairs in key order. on_kv must not suspend, must not call the store, and must copy what
// it keeps: it may run under a lock of the store's cache.
class KvSink {
  public:
    virtual void on_kv(const KvView& kv) = 0;

  protected:
    ~KvSink() = default;
};

// The views must outlive the call that takes the query (RangeCursor copies them).
struct RangeQuery {
    std::string_view key;
    std::string_view range_end = {};
    std::int64_t limit = 0;  // 0: none
    Revision revision = 0;   // 0: current
    SortOrder order = SortOrder::kNone;
    SortTarget target = SortTarget::kKey;
    bool keys_only = false;  // without values; keeps_lease() says whether without leases too
    bool count_only = false;
    Revision min_mod_revision = 0;  // 0: no filter, as for the three below
    Revision max_mod_revision = 0;
    Revision min_create_revision = 0;
    Revision max_create_revision = 0;

    // A sort is needed after a scan in key order: only then does finish_range() have work beyond
    // what the cursor does.
    bool needs_sort() const noexcept;
    // As in etcd: keys_only drops leases too, but not where it had to sort by value.
    bool keeps_lease() const noexcept;
    bool has_filters() const noexcept;
    bool matches(const KvView& kv) const noexcept;  // passes the revision filters
    // How many matches in key order are wanted; the sorts want all of them, except one of etcd's.
    std::int64_t scan_limit() const noexcept;
};

struct RangeResult {
    std::vector<KeyValue> kvs;
    std::int64_t count = 0;  // of the whole range at that revision, before limit and filters
    bool more = false;       // the limit cut something off
    Revision revision = 0;   // current revision of the store when the read was pinned (header)
};

// Sorts, cuts to the limit and drops the values of keys_only, in etcd's order of doing so. Needed
// when query.needs_sort(), harmless otherwise; sets result.more if it cuts.
void finish_range(const RangeQuery& query, RangeResult& result);

struct SliceBudget {
    std::int64_t keys_max = limits::kRangeSliceKeys;   // keys looked at, counted ones included
    std::size_t bytes_max = limits::kRangeSliceBytes;  // key and value bytes handed out
};

// How far a read has come.
struct RangeProgress {
    std::string resume;  // first key not yet looked at
    bool started = false;
    bool done = false;
    std::int64_t count = 0;    // live keys seen
    std::int64_t matched = 0;  // of those, past the filters
};

// A range at one revision, read in slices. It holds nothing of RocksDB between slices; it pins its
// revision, so that a compaction meanwhile does not pull it away (only the removal of old data
// waits for it). One user at a time; it must not outlive the store. Movable between threads.
class RangeCursor {
  public:
    RangeCursor(const MvccStore& store, const RangeQuery& query);
    ~RangeCursor();
    RangeCursor(const RangeCursor&) = delete;
    RangeCursor& operator=(const RangeCursor&) = delete;

    // Reads the next slice. Pairs come in ascending key order, filters and limit applied; if
    // query.needs_sort(), the caller collects them and ends with finish_range(). The first call
    // checks the revision: kOutOfRange with etcd's texts (compacted, future). kInternal and
    // kDataLoss: the engine failed.
    Result<ReadStep> next(ReadTier tier, const SliceBudget& budget, KvSink& sink);

    // Valid after kDone.
    std::int64_t count() const noexcept { return progress_.count; }
    bool more() const noexcept;  // before finish_range()

    Revision read_revision() const noexcept { return read_revision_; }    // what is being read
    Revision store_revision() const noexcept { return store_revision_; }  // current when pinned

  private:
    Status start();

    const MvccStore& store_;
    std::string text_;  // what the views of query_ point into
    RangeQuery query_;
    RangeProgress progress_;
    Revision read_revision_ = 0;
    Revision store_revision_ = 0;
    bool pinned_ = false;
};

}  // namespace sluice::storage
