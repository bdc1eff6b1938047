#include "net/http2/hpack_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/http2/hex_testing.h"

namespace sluice::http2 {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using testing::ElementsAre;
using testing::Pair;

constexpr std::uint32_t kListMax = limits::kHttp2HeaderListBytesMax;

struct Decoder {
    HpackDecoder hpack;
    Scratch scratch;
    HpackDecoder::Status status = HpackDecoder::Status::kOk;

    Pairs decode(std::string_view block, std::uint32_t list_max = kListMax) {
        status = hpack.decode(block, list_max, scratch);
        Pairs pairs;
        if (status == HpackDecoder::Status::kError) return pairs;
        for (const Header& header : HpackDecoder::headers(scratch))
            pairs.emplace_back(header.name, header.value);
        return pairs;
    }
    Pairs decode_hex(std::string_view hex) { return decode(from_hex(hex)); }
    bool fails(std::string_view hex) {
        decode_hex(hex);
        return status == HpackDecoder::Status::kError;
    }
};

std::string literal(std::string_view name, std::string_view value) {
    std::string out = "\x40";
    out += static_cast<char>(name.size());
    out += name;
    out += static_cast<char>(value.size());
    out += value;
    return out;
}

const Pairs kRequest1 = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};

TEST(HpackDecoder, Rfc7541C2SingleFields) {
    Decoder d;
    EXPECT_THAT(d.decode_hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
                ElementsAre(Pair("custom-key", "custom-header")));
    EXPECT_EQ(d.hpack.table().size(), 55u);
    Decoder e;
    EXPECT_THAT(e.decode_hex("040c 2f73 616d 706c 652f 7061 7468"),
                ElementsAre(Pair(":path", "/sample/path")));
    EXPECT_THAT(e.decode_hex("1008 7061 7373 776f 7264 0673 6563 7265 74"),
                ElementsAre(Pair("password", "secret")));
    EXPECT_EQ(e.hpack.table().count(), 0u);
    EXPECT_THAT(e.decode_hex("82"), ElementsAre(Pair(":method", "GET")));
}

void expect_requests(std::string_view first, std::string_view second, std::string_view third) {
    Decoder d;
    EXPECT_EQ(d.decode_hex(first), kRequest1);
    EXPECT_EQ(d.hpack.table().size(), 57u);
    Pairs request2 = kRequest1;
    request2.emplace_back("cache-control", "no-cache");
    EXPECT_EQ(d.decode_hex(second), request2);
    EXPECT_EQ(d.hpack.table().size(), 110u);
    EXPECT_THAT(
        d.decode_hex(third),
        ElementsAre(Pair(":method", "GET"), Pair(":scheme", "https"), Pair(":path", "/index.html"),
                    Pair(":authority", "www.example.com"), Pair("custom-key", "custom-value")));
    EXPECT_EQ(d.hpack.table().size(), 164u);
    EXPECT_EQ(d.hpack.table().at(0).name, "custom-key");
    EXPECT_EQ(d.hpack.table().at(2).value, "www.example.com");
}

TEST(HpackDecoder, Rfc7541C3RequestsWithoutHuffman) {
    expect_requests("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                    "8286 84be 5808 6e6f 2d63 6163 6865",
                    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65");
}

TEST(HpackDecoder, Rfc7541C4RequestsWithHuffman) {
    expect_requests("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
                    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
}

void expect_responses(std::string_view first, std::string_view second, std::string_view third) {
    Decoder d;
    // The RFC's examples use a table of 256 bytes: a size update comes first.
    EXPECT_THAT(d.decode(from_hex("3fe101") + from_hex(first)),
                ElementsAre(Pair(":status", "302"), Pair("cache-control", "private"),
                            Pair("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
                            Pair("location", "https://www.example.com")));
    EXPECT_EQ(d.hpack.table().size_max(), 256u);
    EXPECT_EQ(d.hpack.table().size(), 222u);
    EXPECT_THAT(d.decode_hex(second),
                ElementsAre(Pair(":status", "307"), Pair("cache-control", "private"),
                            Pair("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
                            Pair("location", "https://www.example.com")));
    EXPECT_EQ(d.hpack.table().size(), 222u);
    EXPECT_THAT(
        d.decode_hex(third),
        ElementsAre(
            Pair(":status", "200"), Pair("cache-control", "private"),
            Pair("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            Pair("location", "https://www.example.com"), Pair("content-encoding", "gzip"),
            Pair("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")));
    EXPECT_EQ(d.hpack.table().count(), 3u);
    EXPECT_EQ(d.hpack.table().size(), 215u);
}

TEST(HpackDecoder, Rfc7541C5ResponsesWithEviction) {
    expect_responses(
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a"
        "3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04"
        "677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49"
        "553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31");
}

TEST(HpackDecoder, Rfc7541C6ResponsesWithHuffman) {
    expect_responses(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e"
        "919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7"
        "821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed"
        "4ee5 b106 3d50 07");
}

TEST(HpackDecoder, StaticTableIsThatOfTheOracle) {
    nghttp2_hd_inflater* oracle = nullptr;
    ASSERT_EQ(nghttp2_hd_inflate_new(&oracle), 0);
    for (std::uint32_t index = 1; index <= kStaticTableEntries; ++index) {
        const std::uint8_t block = static_cast<std::uint8_t>(0x80 | index);
        nghttp2_nv nv{};
        int flags = 0;
        ASSERT_EQ(nghttp2_hd_inflate_hd2(oracle, &nv, &flags, &block, 1, 1), 1);
        const std::string_view name(reinterpret_cast<char*>(nv.name), nv.namelen);
        EXPECT_EQ(static_name(index), name);
        EXPECT_EQ(static_value(index),
                  std::string_view(reinterpret_cast<char*>(nv.value), nv.valuelen));
        EXPECT_EQ(find_header_id(name), static_id(index));
        nghttp2_hd_inflate_end_headers(oracle);
    }
    nghttp2_hd_inflate_del(oracle);
}

TEST(HpackDecoder, RefusesMalformedBlocks) {
    EXPECT_TRUE(Decoder().fails("80")) << "index 0";
    EXPECT_TRUE(Decoder().fails("be")) << "an entry that does not exist";
    EXPECT_TRUE(Decoder().fails("7e00")) << "a name that does not exist";
    EXPECT_TRUE(Decoder().fails("ff")) << "an integer cut off";
    EXPECT_TRUE(Decoder().fails("ffffffffffff")) << "an integer over 32 bits";
    EXPECT_TRUE(Decoder().fails("ff808080808000")) << "an integer with six continuation bytes";
    EXPECT_TRUE(Decoder().fails("4003 6161")) << "a string cut off";
    EXPECT_TRUE(Decoder().fails("8220")) << "a size update behind a field";
    EXPECT_TRUE(Decoder().fails("3fe21f")) << "a table of 4097 bytes";
    EXPECT_FALSE(Decoder().fails("3fe11f")) << "a table of 4096 bytes";
}

TEST(HpackDecoder, EntryLargerThanTheTableEmptiesIt) {
    Decoder d;
    d.decode(literal("a", "b"));
    ASSERT_EQ(d.hpack.table().count(), 1u);
    d.decode("\x22");  // size update to 2
    EXPECT_EQ(d.hpack.table().count(), 0u);
    EXPECT_THAT(d.decode(literal("c", "d")), ElementsAre(Pair("c", "d")));
    EXPECT_EQ(d.hpack.table().count(), 0u);
}

TEST(HpackDecoder, ListLimitCutsTheListButNotTheTable) {
    Decoder d;
    const std::string block = literal("aa", "bb") + literal("cc", "dd") + literal("ee", "ff");
    const Pairs pairs = d.decode(block, 2 * 36);
    EXPECT_EQ(d.status, HpackDecoder::Status::kListTooLarge);
    EXPECT_EQ(pairs.size(), 2u);
    EXPECT_EQ(d.hpack.table().count(), 3u);
    EXPECT_THAT(d.decode_hex("be"), ElementsAre(Pair("ee", "ff")));
}

TEST(HpackDecoder, BombOfReferencesStaysBounded) {
    Decoder d;
    const std::string value(3'900, 'x');
    std::string insert = "\x40\x01k";
    insert += from_hex("7fbd1d");  // 3900 with a 7-bit prefix
    insert += value;
    ASSERT_THAT(d.decode(insert), ElementsAre(Pair("k", value)));
    std::string bomb(limits::kHttp2HeaderBlockBytesMax, '\xbe');
    EXPECT_EQ(d.decode(bomb).size(), 4u);
    EXPECT_EQ(d.status, HpackDecoder::Status::kListTooLarge);
    // The same with the name of an entry, which a careless decoder copies each time.
    std::string names;
    while (names.size() + 2 <= limits::kHttp2HeaderBlockBytesMax)
        names += std::string("\x0f\x2f\x00", 3);
    names.resize(names.size() / 3 * 3);
    d.decode(names.substr(0, 16'383));
    EXPECT_EQ(d.status, HpackDecoder::Status::kListTooLarge);
}

// The newest entry is referred to, and then pushed out by inserts of the same block.
TEST(HpackDecoder, ViewsOutliveEvictionInTheSameBlock) {
    Decoder d;
    const std::string name(60, 'n');
    d.decode(literal(name, "first"));
    std::string block = "\xbe";
    Pairs expected = {{name, "first"}};
    for (int i = 0; i < 100; ++i) {
        const std::string value(100, static_cast<char>('a' + i % 26));
        block += "\x7e";  // the name of the newest entry, inserted with a new value
        block += static_cast<char>(value.size());
        block += value;
        expected.emplace_back(name, value);
    }
    const Pairs pairs = d.decode(block);
    ASSERT_EQ(d.status, HpackDecoder::Status::kListTooLarge);
    expected.resize(pairs.size());
    EXPECT_EQ(pairs, expected);
    EXPECT_GT(pairs.size(), 80u);
}

// Found by the fuzzer: what was copied for listed headers must not be given back together with the
// text of a header that did not fit into the list.
TEST(HpackDecoder, ViewsOutliveHeadersThatAreNotListed) {
    Decoder d;
    d.decode(literal("name", "first"));
    std::string block = "\xbe" + literal("long", std::string(100, 'l'));
    for (int i = 0; i < 50; ++i)  // Huffman-coded, so that they need scratch memory
        block += from_hex("0001 6e 8c f1 e3c2 e5f2 3a6b a0ab 90f4 ff");
    const Pairs pairs = d.decode(block, 60);
    EXPECT_EQ(d.status, HpackDecoder::Status::kListTooLarge);
    EXPECT_THAT(pairs, ElementsAre(Pair("name", "first")));
}

TEST(HpackDecoder, BlockCacheEndsWithAnyTableChange) {
    Decoder d;
    d.decode(literal("a", "b"));
    const std::string block = "\x82\x86\x84\xbe";
    d.decode(block);
    EXPECT_EQ(d.hpack.cached_tag(block), 0u);
    d.hpack.set_cached_tag(block, 5);
    EXPECT_EQ(d.hpack.cached_tag(block), 5u);
    EXPECT_EQ(d.hpack.cached_tag("\x82\x86\x84\xbf"), 0u);
    EXPECT_EQ(d.hpack.cached_tag("\x82\x86\x84"), 0u);
    d.decode(literal("c", "d"));
    EXPECT_EQ(d.hpack.cached_tag(block), 0u);
    d.hpack.set_cached_tag(literal("e", "f"), 6);
    EXPECT_EQ(d.hpack.cached_tag(literal("e", "f")), 0u) << "a literal is never remembered";
    d.hpack.set_cached_tag(block, 5);
    d.decode("\x20");
    EXPECT_EQ(d.hpack.cached_tag(block), 0u) << "a size update changes the table";
}

TEST(HpackDecoder, FlagsCharactersThatHeadersMustNotHave) {
    Decoder d;
    const auto valid = [&](std::string_view name, std::string_view value) {
        d.decode(literal(name, value));
        const bool inserted = HpackDecoder::headers(d.scratch)[0].valid;
        d.decode("\xbe");
        EXPECT_EQ(HpackDecoder::headers(d.scratch)[0].valid, inserted) << "the entry remembers";
        return inserted;
    };
    EXPECT_TRUE(valid("x-ok", "a\tb \x80"));
    EXPECT_TRUE(valid("x-ok", ""));
    EXPECT_FALSE(valid("X-Upper", "a"));
    EXPECT_FALSE(valid("", "a"));
    EXPECT_FALSE(valid("a b", "a"));
    EXPECT_FALSE(valid("a:b", "a"));
    EXPECT_FALSE(valid("x", " a"));
    EXPECT_FALSE(valid("x", "a\t"));
    EXPECT_FALSE(valid("x", "a\rb"));
    EXPECT_FALSE(valid("x", "a\nb"));
    EXPECT_FALSE(valid("x", std::string_view("a\0b", 3)));
    // A bad value does not make its name bad for others.
    d.decode(literal("x-name", "bad\n"));
    d.decode("\x7e\x01v");
    EXPECT_TRUE(HpackDecoder::headers(d.scratch)[0].valid);
}

TEST(HpackDecoder, UnusedTableOwnsNoMemory) {
    Decoder d;
    EXPECT_EQ(d.hpack.memory_bytes(), 0u);
    d.decode_hex("8286 84");
    EXPECT_EQ(d.hpack.memory_bytes(), 0u);
    d.decode(literal("a", "b"));
    EXPECT_LE(d.hpack.memory_bytes(), 320u);
    d.decode_hex("20");  // the peer empties its table
    d.hpack.trim();
    EXPECT_EQ(d.hpack.memory_bytes(), 0u);
}

TEST(HpackDecoder, TrimKeepsTheEntriesAndNothingElse) {
    Decoder d;
    const Pairs first = d.decode(literal("x-one", "a value") + literal("x-two", "another"));
    d.hpack.trim();
    constexpr std::size_t kText = std::string_view("x-onea valuex-twoanother").size();
    constexpr std::size_t kRecords = 8 * 8;
    EXPECT_EQ(d.hpack.memory_bytes(), kText + kRecords);
    EXPECT_EQ(d.decode("\xbf\xbe"), first);
}

// Trimmed at any moment, with inserts, evictions and a ring that wraps: the headers are the same.
TEST(HpackDecoder, TrimChangesNothing) {
    std::mt19937 random(7);
    Decoder kept, trimmed;
    for (int round = 0; round < 3'000; ++round) {
        std::string block;
        const std::uint32_t entries = kept.hpack.table().count();
        if (entries > 0)
            block += static_cast<char>(0x80 | (62 + random() % std::min(entries, 60u)));
        block += literal("x-" + std::to_string(random() % 50), std::string(random() % 100, 'v'));
        EXPECT_EQ(trimmed.decode(block), kept.decode(block));
        ASSERT_EQ(trimmed.status, HpackDecoder::Status::kOk);
        if (random() % 3 == 0) trimmed.hpack.trim();
        ASSERT_EQ(trimmed.hpack.table().size(), kept.hpack.table().size());
    }
}

}  // namespace
}  // namespace sluice::http2
