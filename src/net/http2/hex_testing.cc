#include "net/http2/hex_testing.h"

#include "base/check.h"

namespace sluice::http2 {

std::string from_hex(std::string_view hex) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string bytes;
    unsigned digits = 0;
    unsigned byte = 0;
    for (const char c : hex) {
        if (c == ' ' || c == '\n') continue;
        const std::size_t digit = kDigits.find(c);
        SLUICE_CHECK(digit != std::string_view::npos);
        byte = byte << 4 | static_cast<unsigned>(digit);
        if (++digits % 2 == 0) bytes += static_cast<char>(byte);
    }
    SLUICE_CHECK(digits % 2 == 0);
    return bytes;
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        hex += kDigits[static_cast<unsigned char>(c) >> 4];
        hex += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return hex;
}

}  // namespace sluice::http2
