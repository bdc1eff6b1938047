#include "net/http1/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "net/http1/response.h"

namespace sluice::http1 {
namespace {

using std::string_literals::operator""s;

constexpr std::string_view kPost =
    "POST /v3/kv/put?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type:  application/json \r\n"
    "Content-Length: 5\r\n\r\nhello";

TEST(RequestParser, ParsesAGet) {
    RequestParser parser;
    std::string_view bytes = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\nGET /next";
    ASSERT_EQ(parser.feed(bytes), Progress::kRequest);
    EXPECT_EQ(bytes, "GET /next") << "the next request is left for later";
    EXPECT_EQ(parser.request().method, Method::kGet);
    EXPECT_EQ(parser.request().target, "/metrics");
    EXPECT_TRUE(parser.request().keep_alive);
    EXPECT_TRUE(parser.request().body.empty());
    parser.next();
    EXPECT_TRUE(parser.is_idle());
    ASSERT_EQ(parser.feed(bytes), Progress::kNeedsMore);
    EXPECT_FALSE(parser.is_idle());
}

TEST(RequestParser, ParsesAPostHoweverItIsSplit) {
    for (std::size_t i = 0; i <= kPost.size(); ++i) {
        for (std::size_t j = i; j <= kPost.size(); ++j) {
            RequestParser parser;
            Progress progress = Progress::kNeedsMore;
            for (std::string_view part :
                 {kPost.substr(0, i), kPost.substr(i, j - i), kPost.substr(j)}) {
                if (part.empty()) continue;
                ASSERT_EQ(progress, Progress::kNeedsMore);
                progress = parser.feed(part);
                ASSERT_TRUE(part.empty());
            }
            ASSERT_EQ(progress, Progress::kRequest) << i << " " << j;
            const Request& request = parser.request();
            EXPECT_EQ(request.path(), "/v3/kv/put");
            EXPECT_EQ(request.header("content-type"), "application/json");
            EXPECT_EQ(request.body, "hello");
            EXPECT_EQ(request.headers.size(), 3u);
        }
    }
}

TEST(RequestParser, SkipsEmptyLinesBeforeARequest) {
    RequestParser parser;
    for (std::string_view part : {"\r"s, "\n"s, "\r\n"s, "\r"s, "\nGET / HTTP/1.0\r"s}) {
        ASSERT_EQ(parser.feed(part), Progress::kNeedsMore);
    }
    std::string_view rest = "\n\r\n";
    ASSERT_EQ(parser.feed(rest), Progress::kRequest);
    EXPECT_FALSE(parser.request().keep_alive) << "HTTP/1.0 closes unless told otherwise";
    EXPECT_EQ(parser.request().minor_version, 0);
}

TEST(RequestParser, KeepAliveFollowsTheConnectionHeader) {
    const auto keep_alive = [](std::string_view bytes) {
        RequestParser parser;
        EXPECT_EQ(parser.feed(bytes), Progress::kRequest);
        return parser.request().keep_alive;
    };
    EXPECT_FALSE(keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n"));
    EXPECT_TRUE(keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n"));
    EXPECT_TRUE(keep_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    for (const std::string version : {"1.0", "1.1"}) {
        const std::string head = "GET / HTTP/" + version + "\r\nHost: a\r\n";
        EXPECT_FALSE(keep_alive(head + "Connection: keep-alive, close\r\n\r\n"));
        EXPECT_FALSE(keep_alive(head + "Connection: close\r\nConnection: keep-alive\r\n\r\n"));
    }
}

TEST(RequestParser, ExpectContinueIsReportedOnce) {
    RequestParser parser;
    std::string_view bytes =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    ASSERT_EQ(parser.feed(bytes), Progress::kNeedsMore);
    EXPECT_TRUE(parser.take_expects_continue());
    EXPECT_FALSE(parser.take_expects_continue());
}

class BadRequests : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(BadRequests, AreRefusedWithTheRightStatusHoweverSplit) {
    const auto& [text, status] = GetParam();
    RequestParser whole({.head_bytes_max = 200, .body_bytes_max = 10});
    std::string_view bytes = text;
    ASSERT_EQ(whole.feed(bytes), Progress::kError);
    EXPECT_EQ(whole.error().status, status);
    EXPECT_EQ(whole.feed(bytes), Progress::kError) << "it stays refused";

    RequestParser split({.head_bytes_max = 200, .body_bytes_max = 10});
    Progress progress = Progress::kNeedsMore;
    for (std::size_t i = 0; i < text.size() && progress == Progress::kNeedsMore; ++i) {
        std::string_view one(&text[i], 1);
        progress = split.feed(one);
    }
    ASSERT_EQ(progress, Progress::kError);
    EXPECT_EQ(split.error().status, status);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRequests,
    testing::Values(
        std::tuple{"GET / HTTP/2.0\r\nHost: a\r\n\r\n"s, 505},
        std::tuple{"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"s, 405},
        std::tuple{"POST / HTTP/1.1\r\nHost: a\r\n\r\n"s, 411},
        std::tuple{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"s, 411},
        std::tuple{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"s, 413},
        std::tuple{"GET /"s + std::string(300, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
        std::tuple{"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"s, 417},
        std::tuple{"GET / HTTP/1.1\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\r\nHost : a\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\nHost: a\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"s, 400},
        std::tuple{"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"s, 400},
        std::tuple{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
        std::tuple{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
        std::tuple{"GET x HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
        std::tuple{"GET /\r\nHost: a\r\n\r\n"s, 400}, std::tuple{"GARBAGE\r\n\r\n"s, int{kNotHttp}},
        std::tuple{"INVALID CONNECTION PREFACE\r\n\r\n"s, int{kNotHttp}},
        std::tuple{"A B HTTP/1\r\n\r\n"s, 400},
        std::tuple{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"s, 400},
        std::tuple{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"s,
                   400}));

TEST(Response, HasALengthAndSaysWhenItCloses) {
    EXPECT_EQ(response_text({.status = 200, .content_type = "text/plain", .body = "ok"}),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(response_text({.status = 404,
                             .content_type = "",
                             .body = "no",
                             .keep_alive = false,
                             .is_head = true}),
              "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(error_text({405, "only GET"}), testing::HasSubstr("Allow: GET, HEAD, POST\r\n"));
    EXPECT_EQ(error_text({kNotHttp, "not HTTP"}), "");
}

}  // namespace
}  // namespace sluice::http1
