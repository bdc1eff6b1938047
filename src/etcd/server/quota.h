// Admission of what stores data: refused once the store is over --quota-backend-bytes, which also
// raises NOSPACE, and while the store cannot keep up.
//
// As in etcd the check before the log is a courtesy of this member; what every member obeys is the
// alarm, which goes through the log.
#pragma once

#include <atomic>
#include <cstdint>

#include "etcd/server/services.h"

namespace sluice::etcd {

class Quota {
  public:
    explicit Quota(ServiceParts& parts) : parts_(parts) {}

    // kNoSpace if the store is over its quota; then the alarm is raised as well.
    // kRequestTooManyRequests while flushes and compactions are so far behind that memory or disk
    // would grow without bound.
    Status admit(std::size_t request_bytes);

  private:
    void raise_alarm();

    ServiceParts& parts_;
    std::atomic<std::uint64_t> asked_{0};
    std::atomic<std::uint64_t> size_bytes_{0};  // of the store, when it was last measured
    std::atomic<bool> raising_{false};
};

}  // namespace sluice::etcd
