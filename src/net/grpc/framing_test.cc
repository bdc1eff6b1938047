#include "net/grpc/framing.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/grpc/status.h"
#include "net/grpc/timeout.h"

namespace sluice::grpc {
namespace {

std::string framed(std::string_view message) {
    std::string out(kMessagePrefixBytes, '\0');
    store_message_prefix(out.data(), static_cast<std::uint32_t>(message.size()));
    return out.append(message);
}

TEST(MessageReader, GivesTheSameMessagesHoweverThePayloadIsSplit) {
    const std::vector<std::string> messages = {"", "a", std::string(300, 'b'), "", "cd"};
    std::string bytes;
    for (const auto& m : messages) bytes += framed(m);
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        MessageReader reader(1000);
        std::vector<std::string> got;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            ASSERT_TRUE(reader.feed(std::string_view(bytes).substr(at, piece),
                                    [&](std::string_view m) { got.emplace_back(m); }));
        }
        EXPECT_EQ(got, messages) << "pieces of " << piece;
        EXPECT_FALSE(reader.mid_message());
    }
}

TEST(MessageReader, RefusesLongAndCompressedMessages) {
    const auto ignore = [](std::string_view) {};
    MessageReader small(4);
    EXPECT_EQ(small.feed(framed("12345"), ignore).error().message(),
              "grpc: received message larger than max (5 vs. 4)");
    std::string compressed = framed("x");
    compressed[0] = 1;
    MessageReader reader(100);
    EXPECT_EQ(reader.feed(compressed, ignore).error().code(), Code::kUnimplemented);
    MessageReader split(4);
    const std::string bytes = framed("12345");
    ASSERT_TRUE(split.feed(bytes.substr(0, 3), ignore));
    EXPECT_TRUE(split.mid_message());
    EXPECT_EQ(split.feed(bytes.substr(3), ignore).error().code(), Code::kResourceExhausted);
}

TEST(GrpcTimeout, ParsesEveryUnitAndRefusesTheRest) {
    EXPECT_EQ(parse_grpc_timeout("3H"), 3 * 3600 * kSecond);
    EXPECT_EQ(parse_grpc_timeout("100m"), 100 * kMillisecond);
    EXPECT_EQ(parse_grpc_timeout("99999999n"), 99'999'999);
    EXPECT_EQ(parse_grpc_timeout("99999999H"), kNever);
    for (const char* bad : {"", "m", "12", "123456789m", "-1m", "1 m", "1x"}) {
        EXPECT_FALSE(parse_grpc_timeout(bad)) << bad;
    }
}

TEST(GrpcMessage, IsPercentEncoded) {
    EXPECT_EQ(encode_grpc_message("etcdserver: key not found"), "etcdserver: key not found");
    EXPECT_EQ(encode_grpc_message("100%\n\xc3\xa9"), "100%25%0A%C3%A9");
}

}  // namespace
}  // namespace sluice::grpc
