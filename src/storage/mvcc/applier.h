// The store's one writer: collects the transactions of a committed group and commits them at once.
//
// Use: for each committed log entry begin_txn(), reads and changes, end_txn(); for the whole group
// one commit(). Reads inside see the earlier changes of the same transaction and of the group;
// readers of the store see nothing before commit() returns. An entry that changes no keys (a lease
// grant, an alarm) needs no transaction: set_meta() goes into the same batch.
//
// Revisions are etcd's. A transaction that changes something takes the next main revision, its
// changes are numbered from sub 0; one that changes nothing (reads, a delete of no keys) takes
// none.
//
// Who may call. One Applier at a time, one thread or fiber at a time; it may move between threads
// between calls. A read tries memory first; when it needs the disk (60-400 us) it runs once more
// inside the BlockingCall, which may suspend the fiber; so does a write that RocksDB would stall
// until a flush is over. An error of kInternal/kDataLoss leaves the
// batch undefined: the node must stop.
//
//   Applier applier(store);                 // keep it: its buffers are reused
//   for (const Entry& entry : committed) {
//       applier.begin_txn();
//       SLUICE_TRY(applier.put(key, value, lease, &info));
//       EventBatch events;
//       if (applier.end_txn(watched ? &events : nullptr)) hub.publish(std::move(events));
//   }
//   SLUICE_TRY(applier.commit(last_index, term));   // only now answer the clients
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/mvcc/range.h"
#include "storage/mvcc/types.h"

namespace sluice::storage {

class Applier {
  public:
    // Runs a function that waits for the disk, and returns when it has run. A server moves it to
    // the runtime's blocking pool (rt/blocking.h); the default runs it where it is.
    using BlockingCall = void (*)(const std::function<void()>& body);
    explicit Applier(MvccStore& store, BlockingCall blocking = run_here);
    ~Applier();  // forgets what is not committed
    Applier(const Applier&) = delete;
    Applier& operator=(const Applier&) = delete;

    // ---- one transaction
    // with_events: whether end_txn() will ask for events; costs copies of keys and values.
    void begin_txn(bool with_events = true);
    // Sets a key. lease 0 detaches a lease. prev may be null; prev->version == 0 if there was no
    // pair. The lease's existence is the caller's to check.
    Status put(std::string_view key, std::string_view value, LeaseId lease,
               KeyValue* prev = nullptr);
    // Deletes a range (etcd's convention, range.h) and returns how many; prevs (may be null) gets
    // the pairs in key order.
    Result<std::int64_t> delete_range(std::string_view key, std::string_view range_end,
                                      std::vector<KeyValue>* prevs = nullptr);
    // Ends it. True if it took a revision; then *events (may be null) is filled.
    bool end_txn(EventBatch* events);
    bool in_txn() const noexcept;

    // ---- reads of the writer: the group's and the transaction's own changes are seen
    // The revision reads see: the last transaction's, or the open one's as soon as it has changed
    // something. That is also the header revision of the answer.
    Revision read_revision() const noexcept;
    Revision compacted_revision() const noexcept;
    Result<bool> get(std::string_view key, KvSink& sink);  // at read_revision(); false: no such key
    Status range(const RangeQuery& query, RangeResult& out);
    // Calls the sink for each pair of the range, in key order, at read_revision(): compares.
    Status scan(std::string_view key, std::string_view range_end, KvSink& sink);
    Result<std::vector<std::string>> keys_of_lease(LeaseId lease);
    Result<std::string> get_meta(std::string_view key);  // kNotFound

    // ---- changes that take no revision; between transactions or inside
    void set_meta(std::string_view key, std::string_view value);
    void delete_meta(std::string_view key);
    // Compacts at `revision`: kOutOfRange with etcd's texts if <= compacted or > current. Readers
    // below it are refused from commit() on. Then run MvccStore::collect_garbage() elsewhere.
    Status compact(Revision revision);

    // Writes all of it with one atomic batch and makes it visible. index must not fall. Nothing
    // pending: the position alone is written. Must not be called inside a transaction.
    Status commit(std::uint64_t index, std::uint64_t term);

    std::size_t pending_bytes() const noexcept;  // of the group so far: bound your groups by it

  private:
    static void run_here(const std::function<void()>& body) { body(); }

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::storage
