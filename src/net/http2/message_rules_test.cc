#include "net/http2/message_rules.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/http2/field_text.h"

namespace sluice::http2 {
namespace {

using List = std::vector<std::pair<std::string_view, std::string_view>>;

std::vector<Header> make(const List& list) {
    std::vector<Header> headers;
    for (const auto& [name, value] : list)
        headers.push_back({.name = name,
                           .value = value,
                           .id = find_header_id(name),
                           .valid = is_valid_name(name) && is_valid_value(value)});
    return headers;
}
bool request_ok(List list, const List& more = {}) {
    list.insert(list.end(), more.begin(), more.end());
    return check_request(make(list)).problem == nullptr;
}

const List kGet = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}};

TEST(MessageRules, Requests) {
    EXPECT_TRUE(request_ok(kGet));
    EXPECT_TRUE(request_ok(kGet, {{":authority", "a"}, {"te", "trailers"}, {"x", "y"}}));
    EXPECT_FALSE(request_ok(kGet, {{":path", "/"}})) << "twice";
    EXPECT_FALSE(request_ok(kGet, {{"x", "y"}, {":authority", "a"}})) << "pseudo header late";
    EXPECT_FALSE(request_ok(kGet, {{":status", "200"}})) << "of a response";
    EXPECT_FALSE(request_ok(kGet, {{":protocol", "websocket"}})) << "not offered";
    EXPECT_FALSE(request_ok(kGet, {{":other", "x"}}));
    EXPECT_FALSE(request_ok(kGet, {{"te", "gzip"}}));
    for (const auto* name :
         {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
        EXPECT_FALSE(request_ok(kGet, {{name, "x"}})) << name;
    EXPECT_FALSE(request_ok(kGet, {{"X-Upper", "x"}}));
    EXPECT_FALSE(request_ok({{":method", "GET"}, {":scheme", "http"}}));
    EXPECT_FALSE(request_ok({{":method", "GET"}, {":path", "/"}}));
    EXPECT_FALSE(request_ok({{":scheme", "http"}, {":path", "/"}}));
    EXPECT_FALSE(request_ok({{":method", ""}, {":scheme", "http"}, {":path", "/"}}));
    EXPECT_FALSE(request_ok({{":method", "GET"}, {":scheme", "http"}, {":path", ""}}));
    EXPECT_FALSE(request_ok({{":method", "GET"}, {":scheme", "http"}, {":path", "x"}}));
    EXPECT_FALSE(request_ok({{":method", "GET"}, {":scheme", "http"}, {":path", "*"}}));
    EXPECT_TRUE(request_ok({{":method", "OPTIONS"}, {":scheme", "http"}, {":path", "*"}}));
    EXPECT_TRUE(request_ok({{":method", "CONNECT"}, {":authority", "a:1"}}));
    EXPECT_FALSE(request_ok({{":method", "CONNECT"}, {":authority", "a:1"}, {":path", "/"}}));
}

TEST(MessageRules, ContentLength) {
    const auto length = [](const List& more) {
        List list = kGet;
        list.insert(list.end(), more.begin(), more.end());
        const MessageCheck check = check_request(make(list));
        return check.problem == nullptr ? check.content_length : -2;
    };
    EXPECT_EQ(length({}), -1);
    EXPECT_EQ(length({{"content-length", "0"}}), 0);
    EXPECT_EQ(length({{"content-length", "123456789012345678"}}), 123456789012345678);
    EXPECT_EQ(length({{"content-length", "7"}, {"content-length", "7"}}), 7);
    EXPECT_EQ(length({{"content-length", "7"}, {"content-length", "8"}}), -2);
    for (const auto* bad : {"", "-1", "+1", "1,1", "0x1", "1234567890123456789"})
        EXPECT_EQ(length({{"content-length", bad}}), -2) << bad;
}

TEST(MessageRules, Responses) {
    const auto status = [](const List& list) {
        const MessageCheck check = check_response(make(list));
        return check.problem == nullptr ? check.status : 0;
    };
    EXPECT_EQ(status({{":status", "200"}, {"x", "y"}}), 200);
    EXPECT_EQ(status({{":status", "099"}}), 0);
    EXPECT_EQ(status({{":status", "20"}}), 0);
    EXPECT_EQ(status({{":status", "200"}, {":status", "200"}}), 0);
    EXPECT_EQ(status({{"x", "y"}}), 0);
    EXPECT_EQ(status({{":status", "200"}, {":path", "/"}}), 0);
}

TEST(MessageRules, TrailersHaveNoPseudoHeaders) {
    EXPECT_EQ(check_trailers(make({{"grpc-status", "0"}})).problem, nullptr);
    EXPECT_NE(check_trailers(make({{":status", "200"}})).problem, nullptr);
}

TEST(FieldText, ControlCharactersAreRefusedAtEveryPlace) {
    for (int byte = 0; byte < 256; ++byte) {
        const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        for (std::size_t place = 0; place < 40; ++place) {
            std::string value(40, 'a');
            value[place] = static_cast<char>(byte);
            const bool blank_at_end = (byte == '\t' || byte == ' ') && (place == 0 || place == 39);
            EXPECT_EQ(is_valid_value(value), allowed && !blank_at_end) << byte << " at " << place;
        }
    }
}

}  // namespace
}  // namespace sluice::http2
