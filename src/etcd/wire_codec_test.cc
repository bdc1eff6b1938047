#include "etcd/wire_codec.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>

#include "etcd/wire_codec_testing.h"
#include "proto/etcdserverpb/kv.pb.h"

namespace sluice::etcd {
namespace {

namespace pb = ::etcdserverpb;

template <class Message>
Message parse(const std::string& text) {
    Message message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
    return message;
}

TEST(WireDecode, ReadsEveryFieldOfEveryRequest) {
    // Every field set, so that none is overlooked.
    const auto put = parse<pb::PutRequest>(
        "key: 'k' value: 'v' lease: -1 prev_kv: true ignore_value: true ignore_lease: true");
    const auto range = parse<pb::RangeRequest>(
        "key: 'k' range_end: 'l' limit: 1 revision: 2 sort_order: DESCEND sort_target: VALUE "
        "serializable: true keys_only: true count_only: true min_mod_revision: 3 "
        "max_mod_revision: 4 min_create_revision: 5 max_create_revision: 6");
    const auto gone = parse<pb::DeleteRangeRequest>("key: 'k' range_end: 'l' prev_kv: true");
    for (const google::protobuf::Message* message :
         {static_cast<const google::protobuf::Message*>(&put),
          static_cast<const google::protobuf::Message*>(&range),
          static_cast<const google::protobuf::Message*>(&gone)}) {
        std::vector<const google::protobuf::FieldDescriptor*> fields;
        message->GetReflection()->ListFields(*message, &fields);
        EXPECT_EQ(static_cast<int>(fields.size()), message->GetDescriptor()->field_count());
        int decoded = 0;
        EXPECT_EQ(disagreement_with_protobuf(message->SerializeAsString(), &decoded), "");
        EXPECT_GE(decoded, 1);
    }
    PutView view;
    const std::string bytes = put.SerializeAsString();
    ASSERT_TRUE(decode(bytes, view));
    EXPECT_EQ(view.lease, -1);
    EXPECT_EQ(view.key.data(), bytes.data() + 2) << "a view, not a copy";
}

TEST(WireDecode, RefusesMalformedBytes) {
    const std::string good =
        parse<pb::PutRequest>("key: 'key' value: 'value' lease: 300").SerializeAsString();
    PutView view;
    ASSERT_TRUE(decode(good, view));
    // Cut anywhere but between fields.
    const std::set<std::size_t> between = {0, 5, 12};
    for (std::size_t size = 0; size < good.size(); ++size) {
        PutView cut;
        EXPECT_EQ(decode(std::string_view(good).substr(0, size), cut), between.contains(size))
            << size;
    }
    for (const std::string_view bad :
         {std::string_view("\x00", 1), std::string_view("\x0a\xff\xff\xff\xff\x0f", 6),
          std::string_view("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11),
          std::string_view("\x0b\x0c", 2), std::string_view("\x0c", 1), std::string_view("\x0f", 1),
          std::string_view("\x79\x01", 2)}) {
        PutView refused;
        EXPECT_FALSE(decode(bad, refused));
    }
}

TEST(WireDecode, SkipsUnknownFieldsAndTakesTheLastValue) {
    std::string bytes = parse<pb::PutRequest>("key: 'a' lease: 1").SerializeAsString();
    bytes += std::string("\x78\x05", 2);                              // field 15, varint
    bytes += std::string("\x7a\x02xy", 4);                            // field 15, bytes
    bytes += std::string("\x7d\x01\x02\x03\x04", 5);                  // field 15, fixed32
    bytes += std::string("\x79\x01\x02\x03\x04\x05\x06\x07\x08", 9);  // field 15, fixed64
    bytes += std::string("\x08\x07", 2);                              // key, but as a varint
    bytes += parse<pb::PutRequest>("key: 'b'").SerializeAsString();
    PutView view;
    ASSERT_TRUE(decode(bytes, view));
    EXPECT_EQ(view.key, "b");
    EXPECT_EQ(view.lease, 1);
    EXPECT_EQ(disagreement_with_protobuf(bytes), "");
}

// Mutated messages: whatever is decoded must be what protobuf reads.
TEST(WireDecode, AgreesWithProtobufOnMutatedMessages) {
    std::vector<std::string> seeds = {
        parse<pb::PutRequest>("key: 'key' value: 'value' lease: 300 prev_kv: true")
            .SerializeAsString(),
        parse<pb::RangeRequest>("key: 'a' range_end: 'b' limit: 500 revision: 1000 "
                                "sort_order: DESCEND min_mod_revision: 7")
            .SerializeAsString(),
        parse<pb::DeleteRangeRequest>("key: 'a' range_end: 'b' prev_kv: true").SerializeAsString()};
    std::mt19937 random(5);
    int decoded = 0;
    for (int round = 0; round < 200'000; ++round) {
        std::string bytes = seeds[random() % seeds.size()];
        for (unsigned edits = 1 + random() % 3; edits > 0 && !bytes.empty(); --edits) {
            const std::size_t at = random() % bytes.size();
            switch (random() % 4) {
                case 0:
                    bytes[at] = static_cast<char>(random());
                    break;
                case 1:
                    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
                    break;
                case 2:
                    bytes.erase(at, 1 + random() % 3);
                    break;
                default:
                    bytes.insert(at, 1, static_cast<char>(random()));
            }
        }
        ASSERT_EQ(disagreement_with_protobuf(bytes, &decoded), "") << testing::PrintToString(bytes);
    }
    EXPECT_GT(decoded, 50'000);
}

class WireResponse : public testing::Test {
  protected:
    template <class Message>
    std::string text(const std::string& bytes) {
        Message message;
        EXPECT_TRUE(message.ParseFromString(bytes));
        EXPECT_EQ(message.SerializeAsString(), bytes) << "not as protobuf writes it";
        return message.ShortDebugString();
    }

    const ResponseHead head_{1, 2, 300, 4};
    const std::string header_ = "header { cluster_id: 1 member_id: 2 revision: 300 raft_term: 4 }";
    const storage::KeyValue pair_{"key", std::string(200, 'v'), 7, 250, 3, 9};
    const storage::KvView kv_ = storage::KvView::of(pair_);
    const std::string kv_text_ =
        "{ key: \"key\" create_revision: 7 mod_revision: 250 version: 3 value: \"" +
        std::string(200, 'v') + "\" lease: 9 }";
    std::string out_;
};

TEST_F(WireResponse, Put) {
    append_put_response(head_, nullptr, out_);
    EXPECT_EQ(text<pb::PutResponse>(out_), header_);
    out_.clear();
    append_put_response(head_, &pair_, out_);
    EXPECT_EQ(text<pb::PutResponse>(out_), header_ + " prev_kv " + kv_text_);
}

TEST_F(WireResponse, AppendsToWhatIsThere) {
    out_ = "frame";
    append_put_response(head_, nullptr, out_);
    EXPECT_EQ(out_.substr(0, 5), "frame");
    EXPECT_EQ(text<pb::PutResponse>(out_.substr(5)), header_);
}

TEST_F(WireResponse, Range) {
    append_range_response(head_, nullptr, 0, out_);
    EXPECT_EQ(text<pb::RangeResponse>(out_), header_);
    out_.clear();
    append_range_response(head_, nullptr, 12, out_);
    EXPECT_EQ(text<pb::RangeResponse>(out_), header_ + " count: 12");
    out_.clear();
    append_range_response(head_, &kv_, 1, out_);
    EXPECT_EQ(text<pb::RangeResponse>(out_), header_ + " kvs " + kv_text_ + " count: 1");
}

TEST_F(WireResponse, Delete) {
    append_delete_response(head_, 0, {}, out_);
    EXPECT_EQ(text<pb::DeleteRangeResponse>(out_), header_);
    out_.clear();
    append_delete_response(head_, 2, std::array{pair_, pair_}, out_);
    EXPECT_EQ(text<pb::DeleteRangeResponse>(out_),
              header_ + " deleted: 2 prev_kvs " + kv_text_ + " prev_kvs " + kv_text_);
}

TEST_F(WireResponse, Head) {
    append_response_head(head_, out_);
    EXPECT_EQ(text<pb::RangeResponse>(out_), header_);
}

}  // namespace
}  // namespace sluice::etcd
