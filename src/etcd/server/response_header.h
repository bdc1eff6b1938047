// The header that every etcd response carries.
#pragma once

#include <atomic>
#include <cstdint>

#include "etcd/key_value_wire.h"
#include "proto/etcdserverpb/header.pb.h"
#include "storage/mvcc/types.h"

namespace sluice::etcd {

// Who answers. The term changes with elections; any thread may read it.
struct Identity {
    std::uint64_t cluster_id = 0;
    std::uint64_t member_id = 0;
    std::atomic<std::uint64_t> raft_term{0};  // relaxed: it is reported, nothing depends on it

    ResponseHead head(storage::Revision revision) const {
        return {.cluster_id = cluster_id,
                .member_id = member_id,
                .revision = revision,
                .raft_term = raft_term.load(std::memory_order_relaxed)};
    }

    // Fills the ids; the revision is the caller's, unless it is already there.
    void fill(etcdserverpb::ResponseHeader* header) const {
        header->set_cluster_id(cluster_id);
        header->set_member_id(member_id);
        header->set_raft_term(raft_term.load(std::memory_order_relaxed));
    }
    void fill(etcdserverpb::ResponseHeader* header, storage::Revision revision) const {
        fill(header);
        header->set_revision(revision);
    }
};

}  // namespace sluice::etcd
