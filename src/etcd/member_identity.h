// The ids of a new member and its cluster, derived from its flags as etcd derives them, so that
// the same flags give the same ids on both, and members that are started with the same list agree
// on their cluster without talking.
//
//   member id  = SHA-1(peer URLs in order, one behind the other, then the token), first 8 bytes
//   cluster id = SHA-1(the member ids in order, 8 bytes each),                    first 8 bytes
//
// Pure; allocates. The ids are taken once, at bootstrap: the data directory keeps them.
// Source: etcd's server/etcdserver/api/membership (computeMemberID, genID); big-endian.
//
//   derive_identity({"http://localhost:2380"}, "etcd-cluster");
//   // {0x8e9e05c52164694d, 0xcdf818194e3a8c32}, which a default etcd has
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::etcd {

struct MemberIdentity {
    std::uint64_t member_id = 0;
    std::uint64_t cluster_id = 0;

    bool operator==(const MemberIdentity&) const = default;
};

// Of a cluster of this one member. The URLs may come in any order.
MemberIdentity derive_identity(std::vector<std::string> peer_urls, std::string_view token);

}  // namespace sluice::etcd
