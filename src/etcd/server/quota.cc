#include "etcd/server/quota.h"

#include "etcd/errors.h"
#include "proto/etcdserverpb/maintenance.pb.h"

namespace sluice::etcd {
namespace {

// Measuring the store takes some microseconds, so it is done once for so many requests.
constexpr std::uint64_t kRequestsPerMeasure = 64;

}  // namespace

Status Quota::admit(std::size_t request_bytes) {
    if (parts_.store.pressure() >= 1) return fail(errors::kRequestTooManyRequests);
    if (parts_.quota_bytes == 0) return {};
    if (asked_.fetch_add(1, std::memory_order_relaxed) % kRequestsPerMeasure == 0) {
        size_bytes_.store(parts_.store.size_bytes(), std::memory_order_relaxed);
    }
    const std::uint64_t size = size_bytes_.load(std::memory_order_relaxed);
    if (size + request_bytes <= parts_.quota_bytes) return {};
    if (!raising_.exchange(true)) {
        raising_fiber_.spawn([this] { raise_alarm(); }, "quota");
    }
    return fail(errors::kNoSpace);
}

void Quota::raise_alarm() {
    etcdserverpb::AlarmRequest request;
    request.set_memberid(parts_.identity.member_id);
    request.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
    request.set_alarm(etcdserverpb::NOSPACE);
    const auto raised = parts_.proposer.run(EntryKind::kAlarm, request.SerializeAsString());
    parts_.log.warn("the store is over its quota, alarm raised",
                    {{"alarm", "NOSPACE"},
                     {"size-bytes", parts_.store.size_bytes()},
                     {"quota-bytes", parts_.quota_bytes},
                     {"raised", raised.has_value()}});
    raising_ = false;
}

}  // namespace sluice::etcd
