// The leases of a node: who is alive for how long.
//
// A lease is granted and revoked through the log, so that every member has the same ones; only the
// primary (the leader; with one member, always) runs clocks. On becoming primary every lease gets
// its full time again (or what its last checkpoint says), because the time that passed meanwhile
// is not known. Which keys hang on a lease is the store's business (keys_of_lease).
//
//   request --prepare--> log --grant--> ALIVE --deadline passed--> EXPIRING --revoke--> gone
//                                        ^  | renew (primary only)     (collect_expired proposes
//                                        +--+                           a lease_expire entry)
//
// Threads: grant, revoke, checkpoint and restore by the applier; the rest by anyone. One short
// lock. Nothing suspends or blocks. Cost: renew is one hash lookup, whatever the number of leases;
// grant, revoke and expiry are O(log n). About 130 bytes a lease.
//
//   Lessor lessor({.min_ttl_s = min_lease_ttl_s(10, 100 * kMillisecond)}, clock);
//   lessor.promote();
//   SLUICE_TRY_ASSIGN(const auto ttl_s, lessor.grant(id, 60));
//   if (lessor.renew(id).outcome == Renewal::Outcome::kRenewed) ...
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/result.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

using storage::LeaseId;

// The shortest TTL that can be kept alive across an election: ceil(1.5 election timeouts), in
// seconds. 2 at etcd's defaults (10 ticks of 100 ms).
std::int64_t min_lease_ttl_s(int election_ticks, TimeNs heartbeat_ns);

// A lease's meta record in the store (docs/formats/entries.md).
struct LeaseRecord {
    std::int64_t granted_ttl_s = 0;
    std::int64_t remaining_ttl_s = 0;  // at the last checkpoint; 0: never checkpointed

    bool operator==(const LeaseRecord&) const = default;
};
inline constexpr std::string_view kLeaseRecordPrefix = "lease/";
std::string lease_record_key(LeaseId id);
std::string encode_lease_record(const LeaseRecord& record);
// kDataLoss if that is not a lease record.
Result<std::pair<LeaseId, LeaseRecord>> decode_lease_record(std::string_view key,
                                                            std::string_view value);

struct LessorOptions {
    std::int64_t min_ttl_s = 2;
    std::size_t expire_batch = limits::kLeaseExpireBatch;
    TimeNs expire_interval_ns = limits::kLeaseExpireIntervalMs * kMillisecond;
    TimeNs expire_retry_ns = limits::kLeaseExpireRetryMs * kMillisecond;
};

struct LeaseGrant {
    LeaseId id = 0;
    std::int64_t ttl_s = 0;
};

struct Renewal {
    enum class Outcome : std::uint8_t {
        kRenewed,     // answer ttl_s
        kNotFound,    // answer TTL 0, no error
        kExpiring,    // its time was over: answer TTL 0, but only after its revocation is applied
        kNotPrimary,  // ask the leader (kNotLeader if there is nobody to forward to)
    };
    Outcome outcome = Outcome::kNotFound;
    std::int64_t ttl_s = 0;
    // A checkpoint says less than this renewal: propose a lease_checkpoint of 0 for it.
    bool clear_checkpoint = false;
};

struct LeaseTime {
    std::int64_t ttl_s = 0;  // left, cut to whole seconds; 0 or below: about to be revoked
    std::int64_t granted_ttl_s = 0;
};

class Lessor {
  public:
    Lessor(LessorOptions options, const Clock& clock) : options_(options), clock_(clock) {}
    Lessor(const Lessor&) = delete;
    Lessor& operator=(const Lessor&) = delete;

    // ---- before the log: settles what must not differ between members. id 0: chosen from
    // `random`, positive and free; a short TTL is raised to the minimum. kLeaseTTLTooLarge above
    // limits::kLeaseTtlMaxSeconds.
    Result<LeaseGrant> prepare(LeaseId id, std::int64_t ttl_s, std::uint64_t random) const;

    // ---- from the log. The caller writes or deletes the lease's record in the same store batch.
    // kLeaseExist; kLeaseTTLTooLarge; kLeaseNotFound for id 0. Returns the record to be written.
    Result<LeaseRecord> grant(LeaseId id, std::int64_t ttl_s);
    // kLeaseNotFound. The caller deletes its keys, sorted, in one revision.
    Status revoke(LeaseId id);
    // Notes how much is left, for a later promote(); unknown ids are skipped. Returns the record to
    // be written.
    std::optional<LeaseRecord> checkpoint(LeaseId id, std::int64_t remaining_ttl_s);
    // At the start: a lease as its record says, with no deadline before promote(). An id twice is
    // a programmer's error.
    void restore(LeaseId id, const LeaseRecord& record);

    // ---- requests
    bool exists(LeaseId id) const;
    Renewal renew(LeaseId id);
    std::optional<LeaseTime> time_to_live(LeaseId id) const;  // none: answer TTL -1
    std::vector<LeaseId> leases() const;                      // those that end first come first
    std::size_t size() const;

    // ---- the clock, on the primary
    // Every lease runs again for its full (or checkpointed) time plus `extend_ns`; where more than
    // three quarters of the expiry rate would end within one second, the later ones are put off.
    void promote(TimeNs extend_ns = 0);
    // Appends leases whose time is over, at most a batch, to be proposed as one lease_expire entry;
    // each is handed out again after the retry time if it is still there. Returns when to call
    // again (kNever: when a lease is granted).
    TimeNs collect_expired(std::vector<LeaseId>& out);

  private:
    struct Lease {
        LeaseRecord record;
        TimeNs deadline_ns = kNever;
        TimeNs scheduled_ns = kNever;  // in schedule_; at or before deadline_ns, or a retry
    };

    void schedule(LeaseId id, Lease& lease, TimeNs at_ns) SLUICE_REQUIRES(mutex_);
    void unschedule(LeaseId id, Lease& lease) SLUICE_REQUIRES(mutex_);
    void spread(std::vector<std::pair<TimeNs, LeaseId>>& by_deadline) SLUICE_REQUIRES(mutex_);

    const LessorOptions options_;
    const Clock& clock_;

    mutable Mutex mutex_;
    std::unordered_map<LeaseId, Lease> leases_ SLUICE_GUARDED_BY(mutex_);
    // When to look at a lease. Renewing does not move it: a lease found alive is put back.
    std::set<std::pair<TimeNs, LeaseId>> schedule_ SLUICE_GUARDED_BY(mutex_);
    bool primary_ SLUICE_GUARDED_BY(mutex_) = false;
};

}  // namespace sluice::etcd
