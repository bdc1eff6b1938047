#include "base/byte_order.h"
#include "base/check.h"
#include "etcd/lessor.h"
#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {

std::string lease_record_key(LeaseId id) {
    SLUICE_ASSERT(id != 0);
    std::string key(kLeaseRecordPrefix);
    key.resize(key.size() + sizeof id);
    store_be64(key.data() + kLeaseRecordPrefix.size(), static_cast<std::uint64_t>(id));
    return key;
}

std::string encode_lease_record(const LeaseRecord& record) {
    internal::LeaseRecord message;
    message.set_granted_ttl_s(record.granted_ttl_s);
    message.set_remaining_ttl_s(record.remaining_ttl_s);
    return message.SerializeAsString();
}

Result<std::pair<LeaseId, LeaseRecord>> decode_lease_record(std::string_view key,
                                                            std::string_view value) {
    internal::LeaseRecord message;
    if (key.size() != kLeaseRecordPrefix.size() + sizeof(LeaseId) ||
        !key.starts_with(kLeaseRecordPrefix) ||
        !message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        return fail(Code::kDataLoss, "a lease record of the store cannot be read");
    }
    const auto id = static_cast<LeaseId>(load_be64(key.data() + kLeaseRecordPrefix.size()));
    const LeaseRecord record{message.granted_ttl_s(), message.remaining_ttl_s()};
    if (id == 0 || record.granted_ttl_s > limits::kLeaseTtlMaxSeconds ||
        record.remaining_ttl_s < 0 || record.remaining_ttl_s > limits::kLeaseTtlMaxSeconds) {
        return fail(Code::kDataLoss, "a lease record of the store is out of range");
    }
    return std::pair(id, record);
}

}  // namespace sluice::etcd
