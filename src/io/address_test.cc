#include "io/address.h"

#include <gtest/gtest.h>

namespace sluice::io {
namespace {

TEST(Address, ReadsWhatItPrints) {
    for (const char* text : {"127.0.0.1:2379", "0.0.0.0:0", "[::1]:2379", "[::]:65535",
                             "[fe80::1:2]:80", "10.1.2.3:1"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address.has_value()) << text;
        EXPECT_EQ(address->to_string(), text);
    }
}

TEST(Address, KnowsTheShortForms) {
    EXPECT_EQ(Address::parse(":2379")->to_string(), "[::]:2379");
    EXPECT_EQ(Address::parse("*:1")->to_string(), "[::]:1");
    EXPECT_EQ(Address::parse("localhost:7")->to_string(), "127.0.0.1:7");
    EXPECT_EQ(Address::loopback(7), *Address::parse("127.0.0.1:7"));
    EXPECT_NE(Address::loopback(7), Address::loopback(8));
    EXPECT_NE(*Address::parse("[::1]:7"), Address::loopback(7));
}

TEST(Address, RefusesTheRest) {
    for (const char* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                             "127.0.0.1:-1", "::1:2379", "[::1:2379", "[]:1", "1.2.3:4",
                             "example.org:80", "127.0.0.1:80 ", "[127.0.0.1]:80"}) {
        const auto address = Address::parse(text);
        ASSERT_FALSE(address.has_value()) << text;
        EXPECT_EQ(address.error().code(), Code::kInvalidArgument);
        EXPECT_NE(address.error().message().find(text), std::string::npos);
    }
}

}  // namespace
}  // namespace sluice::io
