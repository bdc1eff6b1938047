// Admission of what stores data: refused once the store is over --quota-backend-bytes, which also
// raises NOSPACE, and while the store cannot keep up.
//
// As in etcd the check before the log is a courtesy of this member; what every member obeys is the
// alarm, which goes through the log. One for all services: the alarm is raised once.
//
// admit() may be called on any fiber, also several at a time; it never suspends. join() when no
// call can come any more and the log has stopped; it suspends until the alarm's fiber has ended.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/log.h"
#include "base/result.h"
#include "etcd/server/proposer.h"
#include "etcd/server/response_header.h"
#include "storage/mvcc/store.h"
#include "sync/group.h"

namespace sluice::etcd {

class Quota {
  public:
    struct Parts {
        const storage::MvccStore& store;
        Proposer& proposer;
        const Identity& identity;
        const Logger& log;
        std::uint64_t quota_bytes;  // 0: no quota
    };
    explicit Quota(Parts parts) : parts_(parts) {}

    // kNoSpace if the store is over its quota; then the alarm is raised as well.
    // kRequestTooManyRequests while flushes and compactions are so far behind that memory or disk
    // would grow without bound.
    Status admit(std::size_t request_bytes);

    void join() { (void)raising_fiber_.wait(); }

  private:
    void raise_alarm();

    const Parts parts_;
    std::atomic<std::uint64_t> asked_{0};
    std::atomic<std::uint64_t> size_bytes_{0};  // of the store, when it was last measured
    std::atomic<bool> raising_{false};
    sync::Group raising_fiber_{nullptr};
};

}  // namespace sluice::etcd
