#include "net/http2/field_text.h"

#include <array>
#include <cstdint>

namespace sluice::http2 {
namespace {

constexpr std::array<bool, 256> make_token_bytes() {
    std::array<bool, 256> token{};
    for (char c = 'a'; c <= 'z'; ++c) token[static_cast<unsigned char>(c)] = true;
    for (char c = '0'; c <= '9'; ++c) token[static_cast<unsigned char>(c)] = true;
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        token[static_cast<unsigned char>(c)] = true;
    return token;
}
constexpr std::array<bool, 256> kTokenBytes = make_token_bytes();

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}

}  // namespace

bool is_valid_name(std::string_view name) noexcept {
    if (name.starts_with(':')) name.remove_prefix(1);
    if (name.empty()) return false;
    bool valid = true;
    for (const char c : name) valid &= kTokenBytes[static_cast<unsigned char>(c)];
    return valid;
}

bool is_valid_value(std::string_view value) noexcept {
    if (value.empty()) return true;
    if (is_blank(value.front()) || is_blank(value.back())) return false;
    bool bad = false;
    for (const char c : value) {  // branch-free: the compiler makes vector code of it
        const auto byte = static_cast<std::uint8_t>(c);
        bad |= (byte < 0x20 && byte != '\t') || byte == 0x7f;
    }
    return !bad;
}

}  // namespace sluice::http2
