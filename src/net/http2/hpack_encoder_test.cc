#include "net/http2/hpack_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "net/http2/hex_testing.h"
#include "net/http2/hpack_decoder.h"

namespace sluice::http2 {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using testing::ElementsAre;
using testing::Pair;

class HpackEncoderTest : public testing::Test {
  protected:
    HpackEncoderTest()
        : status_200_(fields_.add(":status", "200")),
          grpc_(fields_.add("content-type", "application/grpc")),
          ok_(fields_.add("grpc-status", "0")) {}

    static std::string encode(HpackEncoder& encoder, const std::vector<HeaderField>& fields) {
        std::string block(encoder.encoded_bound(fields), '\0');
        block.resize(static_cast<std::size_t>(encoder.encode(fields, block.data()) - block.data()));
        return block;
    }

    Pairs decode(std::string_view block) {
        EXPECT_EQ(decoder_.decode(block, limits::kHttp2HeaderListBytesMax, scratch_),
                  HpackDecoder::Status::kOk);
        Pairs pairs;
        for (const Header& header : HpackDecoder::headers(scratch_))
            pairs.emplace_back(header.name, header.value);
        return pairs;
    }

    SharedFields fields_;
    SharedFieldId status_200_, grpc_, ok_;
    HpackDecoder decoder_;
    Scratch scratch_;
};

TEST_F(HpackEncoderTest, SharedFieldsAreOneByteFromTheSecondTimeOn) {
    HpackEncoder encoder(&fields_);
    const std::vector<HeaderField> headers = {HeaderField::shared(status_200_),
                                              HeaderField::shared(grpc_)};
    const std::vector<HeaderField> trailers = {HeaderField::shared(ok_)};
    const auto is_headers =
        ElementsAre(Pair(":status", "200"), Pair("content-type", "application/grpc"));
    EXPECT_THAT(decode(encode(encoder, headers)), is_headers);
    EXPECT_THAT(decode(encode(encoder, trailers)), ElementsAre(Pair("grpc-status", "0")));
    EXPECT_EQ(decoder_.table().count(), 2u);
    const std::string again = encode(encoder, headers);
    EXPECT_EQ(to_hex(again), "88bf");
    EXPECT_THAT(decode(again), is_headers);
    EXPECT_EQ(to_hex(encode(encoder, trailers)), "be");
    EXPECT_EQ(decoder_.table().count(), 2u);
}

TEST_F(HpackEncoderTest, TextIsNeverInserted) {
    HpackEncoder encoder(&fields_);
    const std::string block = encode(encoder, {HeaderField::text(":status", "404"),
                                               HeaderField::text("grpc-message", "no such key"),
                                               HeaderField::sensitive("token", "secret")});
    EXPECT_THAT(decode(block),
                ElementsAre(Pair(":status", "404"), Pair("grpc-message", "no such key"),
                            Pair("token", "secret")));
    EXPECT_EQ(decoder_.table().count(), 0u);
    EXPECT_EQ(to_hex(block.substr(0, 5)), "0803343034");
    EXPECT_NE(block.find("\x10\x05token"), std::string::npos) << "marked never to be indexed";
}

TEST_F(HpackEncoderTest, SmallPeerTableMeansLiterals) {
    HpackEncoder encoder(&fields_);
    encoder.set_peer_table_bytes(100);  // the shared fields need 100 + some
    ASSERT_GT(fields_.table_bytes(), 100u);
    for (int i = 0; i < 2; ++i) {
        EXPECT_THAT(decode(encode(encoder, {HeaderField::shared(grpc_)})),
                    ElementsAre(Pair("content-type", "application/grpc")));
        EXPECT_EQ(decoder_.table().count(), 0u);
        EXPECT_EQ(decoder_.table().size_max(), 100u);
    }
}

TEST_F(HpackEncoderTest, TableChangesAreAnnouncedOnceSmallestFirst) {
    HpackEncoder encoder(&fields_);
    decode(encode(encoder, {HeaderField::shared(grpc_)}));
    encoder.set_peer_table_bytes(0);
    encoder.set_peer_table_bytes(65'536);
    const std::string block = encode(encoder, {HeaderField::shared(grpc_)});
    EXPECT_EQ(to_hex(block.substr(0, 4)), "203fe11f") << "0, then no more than 4096";
    EXPECT_THAT(decode(block), ElementsAre(Pair("content-type", "application/grpc")));
    EXPECT_EQ(decoder_.table().count(), 1u);
    EXPECT_EQ(to_hex(encode(encoder, {HeaderField::shared(grpc_)})), "be");
}

TEST_F(HpackEncoderTest, LongTextKeepsItsLength) {
    HpackEncoder encoder(nullptr);
    for (const std::size_t size : {126u, 127u, 128u, 254u, 255u, 300u, 9'000u}) {
        const std::string value(size, 'v');
        EXPECT_THAT(decode(encode(encoder, {HeaderField::text("x-long", value)})),
                    ElementsAre(Pair("x-long", value)));
    }
}

}  // namespace
}  // namespace sluice::http2
