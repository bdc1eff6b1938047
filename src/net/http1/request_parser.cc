#include "net/http1/request_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace sluice::http1 {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::size_t kLengthDigitsMax = 18;  // given: fits into 63 bits

constexpr std::array<bool, 256> make_token_bytes() {
    std::array<bool, 256> token{};
    for (char c = 'a'; c <= 'z'; ++c) token[static_cast<unsigned char>(c)] = true;
    for (char c = 'A'; c <= 'Z'; ++c) token[static_cast<unsigned char>(c)] = true;
    for (char c = '0'; c <= '9'; ++c) token[static_cast<unsigned char>(c)] = true;
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        token[static_cast<unsigned char>(c)] = true;
    return token;
}
constexpr std::array<bool, 256> kTokenBytes = make_token_bytes();

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return kTokenBytes[static_cast<unsigned char>(c)];
    });
}

bool is_control(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

std::string_view trim_blanks(std::string_view text) noexcept {
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// Does a comma-separated list contain the token?
bool has_token(std::string_view list, std::string_view token) noexcept {
    while (true) {
        const std::size_t comma = list.find(',');
        if (equals_ignoring_case(trim_blanks(list.substr(0, comma)), token)) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace

std::string_view Request::path() const noexcept {
    return target.substr(0, target.find('?'));
}

std::string_view Request::header(std::string_view name) const noexcept {
    const auto found = std::ranges::find(headers, name, &RequestHeader::name);
    return found == headers.end() ? std::string_view{} : found->value;
}

Progress RequestParser::fail(std::uint16_t status, std::string_view reason) {
    if (state_ != State::kError) error_ = {status, reason};
    state_ = State::kError;
    return Progress::kError;
}

Progress RequestParser::feed(std::string_view& bytes) {
    SLUICE_ASSERT(state_ != State::kComplete);
    if (state_ == State::kHead) {
        if (!take_head(bytes))
            return state_ == State::kError ? Progress::kError : Progress::kNeedsMore;
        parse_head();
    }
    if (state_ == State::kError) return Progress::kError;
    SLUICE_ASSERT(state_ == State::kBody && body_.size() <= content_length_);
    const std::uint64_t missing = content_length_ - body_.size();
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(missing, bytes.size()));
    body_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    if (part < missing) return Progress::kNeedsMore;
    finish();
    return Progress::kRequest;
}

// Moves bytes up to the end of the head. True: it is complete.
bool RequestParser::take_head(std::string_view& bytes) {
    if (text_.empty()) {  // empty lines before a request are allowed (RFC 9112 section 2.2)
        while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
        if (bytes == "\r") {
            text_ = "\r";
            bytes = {};
            return false;
        }
    } else if (text_ == "\r" && bytes.starts_with('\n')) {
        bytes.remove_prefix(1);
        text_.clear();
        return take_head(bytes);
    }
    if (bytes.empty()) return false;
    // The end may lie across the border of two feeds.
    const std::size_t old_size = text_.size();
    const std::size_t searched =
        old_size < kEndOfHead.size() ? 0 : old_size - kEndOfHead.size() + 1;
    const std::size_t room = limits_.head_bytes_max + 1 - old_size;
    text_.append(bytes.substr(0, std::min(room, bytes.size())));
    const std::size_t end = text_.find(kEndOfHead, searched);
    if (end == std::string::npos) {
        bytes.remove_prefix(text_.size() - old_size);
        if (text_.size() > limits_.head_bytes_max) fail(431, "request head too large");
        return false;
    }
    const std::size_t size = end + kEndOfHead.size();
    bytes.remove_prefix(size - old_size);
    text_.resize(size);
    if (size <= limits_.head_bytes_max) return true;
    fail(431, "request head too large");
    return false;
}

void RequestParser::parse_head() {
    std::string_view rest(text_);
    rest.remove_suffix(2);  // the empty line
    bool first = true;
    while (!rest.empty() && state_ != State::kError) {
        const std::size_t end = rest.find("\r\n");
        SLUICE_ASSERT(end != std::string_view::npos);
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + 2);
        if (std::ranges::any_of(line, is_control)) {
            fail(400, "control character in the head");
        } else if (first) {
            parse_request_line(line);
        } else {
            parse_header(line);
        }
        first = false;
    }
    if (state_ != State::kError) check_head();
}

void RequestParser::parse_request_line(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    const bool has_known_method =
        line.starts_with("GET ") || line.starts_with("HEAD ") || line.starts_with("POST ");
    if (!has_known_method && line.find(" HTTP/") == std::string_view::npos) {
        fail(kNotHttp, "not HTTP");
        return;
    }
    if (first == std::string_view::npos || first == last) {
        fail(400, "malformed request line");
        return;
    }
    const std::string_view method = line.substr(0, first);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    const bool is_http = version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.' &&
                         version[5] >= '0' && version[5] <= '9' && version[7] >= '0' &&
                         version[7] <= '9';
    if (!is_token(method) || !is_http || target.empty() ||
        target.find_first_of(" \t") != std::string_view::npos) {
        fail(400, "malformed request line");
        return;
    }
    if (version != "HTTP/1.1" && version != "HTTP/1.0") {
        fail(505, "HTTP/1.1 and HTTP/2 are spoken here");
        return;
    }
    request_.minor_version = static_cast<std::uint8_t>(version[7] - '0');
    request_.keep_alive = request_.minor_version == 1;
    if (method == "GET") {
        request_.method = Method::kGet;
    } else if (method == "HEAD") {
        request_.method = Method::kHead;
    } else if (method == "POST") {
        request_.method = Method::kPost;
    } else {
        fail(405, "only GET, HEAD and POST are served");
        return;
    }
    if (!target.starts_with('/')) {
        fail(400, "the target does not begin with a slash");
        return;
    }
    request_.target = target;
}

void RequestParser::parse_header(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
        fail(400, "malformed header");
        return;
    }
    if (headers_.size() == limits::kHttp1HeadersMax) {
        fail(431, "too many headers");
        return;
    }
    // The head is ours: names are made lower case where they stand.
    char* name = text_.data() + (line.data() - text_.data());
    std::transform(name, name + colon, name, to_lower);
    headers_.push_back({line.substr(0, colon), trim_blanks(line.substr(colon + 1))});
    apply_header(headers_.back());
}

void RequestParser::apply_header(const RequestHeader& header) {
    if (header.name == "content-length") {
        const bool digits =
            !header.value.empty() && header.value.size() <= kLengthDigitsMax &&
            std::ranges::all_of(header.value, [](char c) { return c >= '0' && c <= '9'; });
        if (!digits || has_content_length_) {
            fail(400, "bad content-length");
            return;
        }
        has_content_length_ = true;
        for (const char c : header.value)
            content_length_ = content_length_ * 10 + static_cast<std::uint64_t>(c - '0');
    } else if (header.name == "transfer-encoding") {
        fail(411, "a body needs a content-length; transfer codings are not supported");
    } else if (header.name == "host") {
        if (has_host_) fail(400, "two host headers");
        has_host_ = true;
    } else if (header.name == "connection") {
        // In any order, and in any number of headers: "close" wins (RFC 9112 section 9.3).
        if (has_token(header.value, "close")) {
            has_close_ = true;
        } else if (request_.minor_version == 0 && has_token(header.value, "keep-alive")) {
            request_.keep_alive = true;
        }
        if (has_close_) request_.keep_alive = false;
    } else if (header.name == "expect") {
        if (equals_ignoring_case(header.value, "100-continue")) {
            expects_continue_ = request_.minor_version == 1;
        } else {
            fail(417, "unknown expectation");
        }
    }
}

void RequestParser::check_head() {
    if (request_.minor_version == 1 && !has_host_) {
        fail(400, "no host header");
    } else if (request_.method == Method::kPost && !has_content_length_) {
        fail(411, "POST needs a content-length");
    } else if (content_length_ > limits_.body_bytes_max) {
        fail(413, "request body too large");
    } else {
        state_ = State::kBody;
        if (content_length_ == 0) expects_continue_ = false;
    }
}

void RequestParser::finish() {
    SLUICE_ASSERT(state_ == State::kBody && body_.size() == content_length_);
    request_.headers = headers_;
    request_.body = body_;
    state_ = State::kComplete;
}

void RequestParser::next() {
    SLUICE_ASSERT(state_ == State::kComplete);
    *this = RequestParser(limits_);
}

bool RequestParser::take_expects_continue() noexcept {
    return std::exchange(expects_continue_, false);
}

}  // namespace sluice::http1
