// Every request that our parser accepts, http_parser 2.9 (Debian's, Node's former parser) accepts
// too, ends it at the same byte, and reads the same method, target, headers, body and persistence
// out of it: two servers in a row that disagree here are how requests are smuggled. The other
// direction is not asked for: ours is stricter on purpose (request_parser.h).
//   http1_request_differential_fuzz test/corpus/http1_request_differential_fuzz
//
// Differences that are meant: http_parser refuses targets with bytes over 0x7f, which we hand on;
// it stops at "Upgrade", which we do not offer and ignore; and for HTTP/1.0 it lets keep-alive win
// over close.
#include <http_parser.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http1/request_parser.h"

namespace {

using namespace sluice::http1;

constexpr RequestLimits kLimits{.head_bytes_max = 4096, .body_bytes_max = 1024};

struct Oracle {
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    bool in_value = true;
    bool complete = false;

    static Oracle& of(http_parser* parser) { return *static_cast<Oracle*>(parser->data); }
    static int on_url(http_parser* parser, const char* at, size_t size) {
        of(parser).target.append(at, size);
        return 0;
    }
    static int on_name(http_parser* parser, const char* at, size_t size) {
        Oracle& self = of(parser);
        if (std::exchange(self.in_value, false)) self.headers.emplace_back();
        self.headers.back().first.append(at, size);
        return 0;
    }
    static int on_value(http_parser* parser, const char* at, size_t size) {
        of(parser).in_value = true;
        of(parser).headers.back().second.append(at, size);
        return 0;
    }
    static int on_body(http_parser* parser, const char* at, size_t size) {
        of(parser).body.append(at, size);
        return 0;
    }
    static int on_complete(http_parser* parser) {
        of(parser).complete = true;
        return 0;
    }
};

std::string normal_name(std::string name) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return name;
}

std::string_view normal_value(std::string_view value) {
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    return value;
}

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "http_parser differs: %s\n", what);
    std::abort();
}

void compare(const Request& ours, std::string_view bytes) {
    if (std::ranges::any_of(ours.target, [](char c) { return c < 0; })) return;
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_url = Oracle::on_url;
    settings.on_header_field = Oracle::on_name;
    settings.on_header_value = Oracle::on_value;
    settings.on_body = Oracle::on_body;
    settings.on_message_complete = Oracle::on_complete;
    Oracle oracle;
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &oracle;
    const size_t taken = http_parser_execute(&parser, &settings, bytes.data(), bytes.size());
    require(HTTP_PARSER_ERRNO(&parser) == HPE_OK,
            http_errno_description(HTTP_PARSER_ERRNO(&parser)));
    require(oracle.complete, "it wants more");
    const char* const method = http_method_str(static_cast<http_method>(parser.method));
    static constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST"};
    require(method == kMethods[static_cast<int>(ours.method)], "method");
    require(oracle.target == ours.target, "target");
    require(parser.http_minor == ours.minor_version, "version");
    require(oracle.headers.size() == ours.headers.size(), "number of headers");
    for (size_t i = 0; i < oracle.headers.size(); ++i) {
        require(normal_name(oracle.headers[i].first) == ours.headers[i].name, "header name");
        require(normal_value(oracle.headers[i].second) == ours.headers[i].value, "header value");
    }
    const bool closes = (parser.flags & F_CONNECTION_CLOSE) != 0;
    const bool keeps = !closes && http_should_keep_alive(&parser) != 0;
    require(keeps == ours.keep_alive, "persistence");
    if (parser.upgrade != 0) return;
    require(taken == bytes.size(), "the end of the request");
    require(oracle.body == ours.body, "body");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    RequestParser parser(kLimits);
    while (!rest.empty()) {
        const std::string_view before = rest;
        if (parser.feed(rest) != Progress::kRequest) return 0;
        compare(parser.request(), before.substr(0, before.size() - rest.size()));
        parser.next();
    }
    return 0;
}
