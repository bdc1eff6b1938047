#include "net/http2/message_rules.h"

#include <algorithm>

namespace sluice::http2 {
namespace {

constexpr std::uint8_t kSawMethod = 1;
constexpr std::uint8_t kSawScheme = 2;
constexpr std::uint8_t kSawPath = 4;
constexpr std::uint8_t kSawAuthority = 8;
constexpr std::uint8_t kSawStatus = 16;
constexpr int kContentLengthDigitsMax = 18;  // given: fits into 63 bits

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool parse_content_length(std::string_view text, std::int64_t& value) noexcept {
    if (text.empty() || text.size() > kContentLengthDigitsMax) return false;
    if (!std::ranges::all_of(text, is_digit)) return false;
    std::int64_t sum = 0;
    for (const char c : text) sum = sum * 10 + (c - '0');
    if (value >= 0 && value != sum) return false;  // two that differ
    value = sum;
    return true;
}

// Headers that are no pseudo headers: the same rules for all three kinds of lists.
const char* check_regular(const Header& header, MessageCheck& check) noexcept {
    switch (header.id) {
        case HeaderId::kConnection:
        case HeaderId::kKeepAlive:
        case HeaderId::kProxyConnection:
        case HeaderId::kTransferEncoding:
        case HeaderId::kUpgrade:
            return "connection-specific header";
        case HeaderId::kTe:
            return header.value == "trailers" ? nullptr : "te is not \"trailers\"";
        case HeaderId::kContentLength:
            return parse_content_length(header.value, check.content_length) ? nullptr
                                                                            : "bad content-length";
        default:
            return nullptr;
    }
}

std::uint8_t pseudo_bit(HeaderId id) noexcept {
    switch (id) {
        case HeaderId::kMethod:
            return kSawMethod;
        case HeaderId::kScheme:
            return kSawScheme;
        case HeaderId::kPath:
            return kSawPath;
        case HeaderId::kAuthority:
            return kSawAuthority;
        case HeaderId::kStatus:
            return kSawStatus;
        default:
            return 0;
    }
}

// Walks the list; `allowed` are the pseudo headers it may have. Calls on_pseudo for each of them.
template <class OnPseudo>
std::uint8_t walk(std::span<const Header> headers, std::uint8_t allowed, MessageCheck& check,
                  OnPseudo&& on_pseudo) noexcept {
    std::uint8_t seen = 0;
    bool regular_seen = false;
    for (const Header& header : headers) {
        if (!header.valid) {
            check.problem = "a character that headers must not have";
        } else if (header.name.front() != ':') {
            regular_seen = true;
            check.problem = check_regular(header, check);
        } else {
            const std::uint8_t bit = pseudo_bit(header.id);
            if ((bit & allowed) == 0)
                check.problem = "unknown pseudo header";
            else if ((bit & seen) != 0)
                check.problem = "pseudo header twice";
            else if (regular_seen)
                check.problem = "pseudo header after others";
            seen |= bit;
            on_pseudo(header);
        }
        if (check.problem != nullptr) break;
    }
    return seen;
}

}  // namespace

MessageCheck check_request(std::span<const Header> headers) noexcept {
    MessageCheck check;
    std::string_view method;
    std::string_view path;
    const std::uint8_t seen = walk(headers, kSawMethod | kSawScheme | kSawPath | kSawAuthority,
                                   check, [&](const Header& header) {
                                       if (header.id == HeaderId::kMethod) method = header.value;
                                       if (header.id == HeaderId::kPath) path = header.value;
                                   });
    if (check.problem != nullptr) return check;
    check.is_head_request = method == "HEAD";
    if (method == "CONNECT") {
        if (seen != (kSawMethod | kSawAuthority)) check.problem = "bad CONNECT";
        return check;
    }
    constexpr std::uint8_t kNeeded = kSawMethod | kSawScheme | kSawPath;
    if ((seen & kNeeded) != kNeeded)
        check.problem = "pseudo header missing";
    else if (method.empty())
        check.problem = "empty :method";
    else if (!path.starts_with('/') && !(path == "*" && method == "OPTIONS"))
        check.problem = "bad :path";
    return check;
}

MessageCheck check_response(std::span<const Header> headers) noexcept {
    MessageCheck check;
    const std::uint8_t seen = walk(headers, kSawStatus, check, [&](const Header& header) {
        const std::string_view text = header.value;
        if (text.size() != 3 || !std::ranges::all_of(text, is_digit) || text[0] == '0') {
            check.problem = "bad :status";
            return;
        }
        check.status = static_cast<std::uint16_t>((text[0] - '0') * 100 + (text[1] - '0') * 10 +
                                                  (text[2] - '0'));
    });
    if (check.problem == nullptr && (seen & kSawStatus) == 0) check.problem = "no :status";
    return check;
}

MessageCheck check_trailers(std::span<const Header> headers) noexcept {
    MessageCheck check;
    walk(headers, 0, check, [](const Header&) {});
    check.content_length = -1;
    return check;
}

}  // namespace sluice::http2
