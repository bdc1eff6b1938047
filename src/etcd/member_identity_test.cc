// The ids are those that etcd 3.7.3 logged ("local-member-id", "cluster-id") for these flags.
#include "etcd/member_identity.h"

#include <gtest/gtest.h>

namespace sluice::etcd {
namespace {

TEST(MemberIdentity, IsWhatEtcdDerives) {
    EXPECT_EQ(derive_identity({"http://localhost:2380"}, "etcd-cluster"),
              (MemberIdentity{0x8e9e05c52164694d, 0xcdf818194e3a8c32}));
    EXPECT_EQ(derive_identity({"http://127.0.0.1:12380"}, "etcd-cluster"),
              (MemberIdentity{0xddd67b312462fd7b, 0xa7ef944b95711739}));
    EXPECT_EQ(derive_identity({"http://127.0.0.1:12381", "http://127.0.0.1:12380"}, "tok"),
              (MemberIdentity{0x282ecffe6a26ad33, 0xc84a6cba8077dc08}));
}

}  // namespace
}  // namespace sluice::etcd
