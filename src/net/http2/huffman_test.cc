#include "net/http2/huffman.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::http2 {
namespace {

std::string encode(std::string_view text) {
    std::string out(huffman_encoded_size(text), '\0');
    EXPECT_EQ(huffman_encode(text, out.data()), out.data() + out.size());
    return out;
}

std::string decode(std::string_view encoded) {
    std::string out(huffman_decoded_bound(encoded.size()) + 1, '\0');
    const std::size_t size = huffman_decode(encoded, out.data());
    if (size == kHuffmanError) return "error";
    out.resize(size);
    return out;
}

TEST(Huffman, EncodesTheExamplesOfTheRfc) {
    EXPECT_EQ(encode("www.example.com"), "\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
    EXPECT_EQ(encode("no-cache"), "\xa8\xeb\x10\x64\x9c\xbf");
    EXPECT_EQ(encode("302"), std::string("\x64\x02", 2));
    EXPECT_EQ(encode(""), "");
}

TEST(Huffman, EveryByteAndEveryPairSurvives) {
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            const std::string text = {static_cast<char>(a), static_cast<char>(b)};
            ASSERT_EQ(decode(encode(text)), text);
        }
    }
}

TEST(Huffman, LongTextOfEveryLengthSurvives) {
    std::string text;
    for (int i = 0; i < 600; ++i) {
        text += static_cast<char>(i * 37 % 251);
        ASSERT_EQ(decode(encode(text)), text);
    }
}

TEST(Huffman, RefusesWhatTheRfcForbids) {
    const std::string ok = encode("aa");  // 10 bits, 6 bits of padding
    ASSERT_EQ(ok.size(), 2u);
    EXPECT_EQ(decode(ok), "aa");
    EXPECT_EQ(decode(std::string{ok[0], static_cast<char>(ok[1] & ~1)}), "error")
        << "padding that is not all ones";
    EXPECT_EQ(decode(ok + "\xff"), "error") << "padding of more than 7 bits";
    EXPECT_EQ(decode("\xff\xff\xff\xff"), "error") << "EOS, coded";
    EXPECT_EQ(decode("\xff"), "error") << "8 bits of padding";
    EXPECT_EQ(decode("\xff\xff\xff"), "error") << "a code cut off";
}

}  // namespace
}  // namespace sluice::http2
