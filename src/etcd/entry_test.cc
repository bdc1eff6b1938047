#include "etcd/entry.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "proto/sluice/internal.pb.h"

namespace sluice::etcd {
namespace {

std::string logged(EntryKind kind, std::string_view body) {
    return std::string(EntryHead(kind, body.size()).bytes()).append(body);
}

TEST(EntryTest, EveryKindComesBackWithItsBody) {
    for (int field = 3; field <= 11; ++field) {
        const auto kind = static_cast<EntryKind>(field);
        for (const std::size_t size : {0u, 1u, 127u, 128u, 70'000u}) {
            const std::string body(size, 'x');
            const std::string payload = logged(kind, body);
            const auto read = read_entry(payload);
            ASSERT_TRUE(read) << field << " " << size;
            EXPECT_EQ(read->kind, kind);
            EXPECT_EQ(read->request, body);
            EXPECT_EQ(read->request.data(), payload.data() + payload.size() - size) << "a copy";
        }
    }
}

TEST(EntryTest, KindsAreTheFieldsOfTheRequest) {
    using Case = internal::Request::RequestCase;
    const std::pair<EntryKind, Case> kinds[] = {
        {EntryKind::kPut, Case::kPut},
        {EntryKind::kDeleteRange, Case::kDeleteRange},
        {EntryKind::kTxn, Case::kTxn},
        {EntryKind::kCompaction, Case::kCompaction},
        {EntryKind::kLeaseGrant, Case::kLeaseGrant},
        {EntryKind::kLeaseRevoke, Case::kLeaseRevoke},
        {EntryKind::kLeaseExpire, Case::kLeaseExpire},
        {EntryKind::kLeaseCheckpoint, Case::kLeaseCheckpoint},
        {EntryKind::kAlarm, Case::kAlarm}};
    for (const auto& [kind, field] : kinds) {
        internal::Request request;
        ASSERT_TRUE(request.ParseFromString(logged(kind, "")));
        EXPECT_EQ(request.request_case(), field);
    }
}

TEST(EntryTest, IsTheProtobufMessageThatTheFormatPromises) {
    etcdserverpb::PutRequest put;
    put.set_key("k");
    put.set_value("v");
    internal::Request request;
    ASSERT_TRUE(request.ParseFromString(logged(EntryKind::kPut, put.SerializeAsString())));
    ASSERT_TRUE(request.has_put());
    EXPECT_EQ(request.put().key(), "k");
    EXPECT_EQ(request.put().value(), "v");
    EXPECT_EQ(request.SerializeAsString(), logged(EntryKind::kPut, put.SerializeAsString()));
}

TEST(EntryTest, AHeaderBeforeTheRequestIsPassedOver) {
    internal::Request request;
    request.mutable_header()->set_id(77);
    request.mutable_lease_revoke()->set_id(5);
    const std::string payload = request.SerializeAsString();
    const auto read = read_entry(payload);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->kind, EntryKind::kLeaseRevoke);
    EXPECT_EQ(read->request, request.lease_revoke().SerializeAsString());
}

TEST(EntryTest, DamagedPayloadsAreRefused) {
    const std::string whole = logged(EntryKind::kTxn, "some body");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(read_entry(std::string_view(whole).substr(0, size))) << size;
    }
    const std::string unknown_kinds[] = {
        std::string("\x12\x00", 2),                  // field 2: not of the oneof
        std::string("\x62\x00", 2),                  // field 12: of a later version
        std::string("\x18\x05", 2),                  // a put that is a number
        std::string("\x1a\xff\xff\xff\xff\x0f", 6),  // 4 GB long
        std::string("\x0a\x00", 2),                  // a header alone
        std::string("\x0a\x00\x0a\x00\x1a\x00", 6),  // two headers
        std::string("\x1a\x00\x22\x00", 4),          // two requests
    };
    for (const std::string& payload : unknown_kinds) {
        const auto read = read_entry(payload);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code(), Code::kDataLoss);
    }
}

}  // namespace
}  // namespace sluice::etcd
