#include "net/http2/huffman.h"

#include <array>
#include <bit>

#include "base/byte_order.h"

namespace sluice::http2 {
namespace {

constexpr unsigned kSymbols = 257;  // 256 bytes and EOS
constexpr unsigned kEos = 256;
constexpr unsigned kLengthMax = 30;  // given: RFC 7541 appendix B
constexpr unsigned kTableBits = 10;  // codes up to this length are found by one load

constexpr std::array<std::uint8_t, kSymbols> kLengths = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  //
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,   //
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10,  //
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,   //
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,   //
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,   //
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28,  //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  //
    30};

struct Code {
    std::uint32_t bits;  // right-justified
    std::uint8_t length;
};

struct Tables {
    std::array<Code, kSymbols> codes{};
    // Symbols in code order, and for each length where its codes begin in that order.
    std::array<std::uint16_t, kSymbols> by_code{};
    std::array<std::uint32_t, kLengthMax + 2> first_code{};    // of the length, right-justified
    std::array<std::uint16_t, kLengthMax + 2> first_symbol{};  // its place in by_code
    std::array<std::uint64_t, kLengthMax + 2> limit{};  // codes of the length are below this,
                                                        // left-justified in 32 bits
    // Top kTableBits of the input -> symbol << 8 | length; length 0: a longer code.
    std::array<std::uint16_t, 1u << kTableBits> direct{};
};

constexpr Tables make_tables() {
    Tables tables;
    std::uint32_t code = 0;
    std::uint16_t place = 0;
    for (unsigned length = 1; length <= kLengthMax; ++length) {
        code <<= 1;
        tables.first_code[length] = code;
        tables.first_symbol[length] = place;
        for (unsigned symbol = 0; symbol < kSymbols; ++symbol) {
            if (kLengths[symbol] != length) continue;
            tables.codes[symbol] = {code, static_cast<std::uint8_t>(length)};
            tables.by_code[place++] = static_cast<std::uint16_t>(symbol);
            if (length <= kTableBits) {
                const unsigned spread = kTableBits - length;
                for (unsigned i = 0; i < (1u << spread); ++i)
                    tables.direct[(code << spread) + i] =
                        static_cast<std::uint16_t>(symbol << 8 | length);
            }
            ++code;
        }
        tables.limit[length] = std::uint64_t{code} << (32 - length);
    }
    return tables;
}

constexpr Tables kTables = make_tables();
static_assert(kTables.codes['0'].bits == 0x0 && kTables.codes['0'].length == 5);
static_assert(kTables.codes['!'].bits == 0x3f8 && kTables.codes['!'].length == 10);
static_assert(kTables.codes[kEos].bits == 0x3fffffff);
static_assert(kTables.limit[kLengthMax] == std::uint64_t{1} << 32, "the code is complete");

// A code longer than kTableBits at the top of `bits`.
Code find_long(std::uint64_t bits, std::uint16_t& symbol) noexcept {
    const std::uint32_t top = static_cast<std::uint32_t>(bits >> 32);
    unsigned length = kTableBits + 1;
    while (top >= kTables.limit[length]) ++length;
    const std::uint32_t code = top >> (32 - length);
    symbol = kTables.by_code[kTables.first_symbol[length] + code - kTables.first_code[length]];
    return {code, static_cast<std::uint8_t>(length)};
}

}  // namespace

std::size_t huffman_decode(std::string_view in, char* out) noexcept {
    const char* from = in.data();
    const char* const end = from + in.size();
    char* to = out;
    std::uint64_t bits = 0;  // left-justified; the bits below `count` of them may be anything
    unsigned count = 0;
    for (;;) {
        if (end - from >= 8) {
            bits |= load_be64(from) >> count;
            from += (63 - count) >> 3;
            count |= 56;
        } else {
            for (; count <= 56 && from != end; count += 8)
                bits |= std::uint64_t{static_cast<std::uint8_t>(*from++)} << (56 - count);
        }
        while (count >= kLengthMax || from == end) {
            const std::uint16_t found = kTables.direct[bits >> (64 - kTableBits)];
            unsigned length = found & 0xff;
            std::uint16_t symbol = found >> 8;
            if (length == 0) length = find_long(bits, symbol).length;
            if (length > count) {  // only padding is left: the first bits of EOS
                const bool padding =
                    count < 8 && static_cast<unsigned>(std::countl_one(bits)) >= count;
                return padding ? static_cast<std::size_t>(to - out) : kHuffmanError;
            }
            if (symbol == kEos) return kHuffmanError;
            *to++ = static_cast<char>(symbol);
            bits <<= length;
            count -= length;
        }
    }
}

std::size_t huffman_encoded_size(std::string_view in) noexcept {
    std::size_t bits = 0;
    for (const char c : in) bits += kLengths[static_cast<std::uint8_t>(c)];
    return (bits + 7) / 8;
}

char* huffman_encode(std::string_view in, char* out) noexcept {
    std::uint64_t bits = 0;  // right-justified
    unsigned count = 0;
    for (const char c : in) {
        const Code code = kTables.codes[static_cast<std::uint8_t>(c)];
        bits = bits << code.length | code.bits;
        count += code.length;
        while (count >= 8) *out++ = static_cast<char>(bits >> (count -= 8));
    }
    if (count > 0) *out++ = static_cast<char>(bits << (8 - count) | 0xffu >> count);
    return out;
}

}  // namespace sluice::http2
