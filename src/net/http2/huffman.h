// HPACK's Huffman code (RFC 7541 section 5.2, appendix B).
//
// The code is canonical, so all tables are computed at compile time from the 257 code lengths.
// Plain functions, no state, no allocation. Cost: decoding about 1 ns a byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http2 {

// The most bytes that `encoded` bytes can decode to: the shortest code has five bits.
constexpr std::size_t huffman_decoded_bound(std::size_t encoded) noexcept {
    return encoded * 8 / 5;
}

// Decodes into `out`, which has room for huffman_decoded_bound(in.size()). Returns the length, or
// kHuffmanError for a coded EOS, padding of 8 bits or more, or padding that is not all ones.
inline constexpr std::size_t kHuffmanError = SIZE_MAX;
std::size_t huffman_decode(std::string_view in, char* out) noexcept;

// The encoded length in bytes.
std::size_t huffman_encoded_size(std::string_view in) noexcept;

// Encodes into `out`, which has room for huffman_encoded_size(in). Returns the end.
char* huffman_encode(std::string_view in, char* out) noexcept;

}  // namespace sluice::http2
