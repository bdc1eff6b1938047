#include "base/crc32c.h"

#include <array>

#include "base/byte_order.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace sluice::crc32c {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41, bits reversed

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Table k advances a byte that stands k bytes before the end of an 8-byte step.
constexpr Table make_tables() {
    Table tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][byte] = crc;
    }
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        for (std::size_t k = 1; k < 8; ++k) {
            const std::uint32_t before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}
constexpr Table kTables = make_tables();

#if defined(__SSE4_2__)
inline std::uint32_t step8(std::uint32_t crc, std::uint64_t value) {
    return static_cast<std::uint32_t>(_mm_crc32_u64(crc, value));
}
inline std::uint32_t step1(std::uint32_t crc, std::uint8_t value) {
    return _mm_crc32_u8(crc, value);
}
#elif defined(__ARM_FEATURE_CRC32)
inline std::uint32_t step8(std::uint32_t crc, std::uint64_t value) {
    return __crc32cd(crc, value);
}
inline std::uint32_t step1(std::uint32_t crc, std::uint8_t value) {
    return __crc32cb(crc, value);
}
#endif

}  // namespace

std::uint32_t extend_portable(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
    crc = ~crc;
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint64_t value = load_le64(at) ^ crc;
        std::uint32_t next = 0;
        for (std::size_t k = 0; k < 8; ++k) next ^= kTables[7 - k][(value >> (8 * k)) & 0xFF];
        crc = next;
    }
    for (; left > 0; --left, ++at) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xFF];
    }
    return ~crc;
}

std::uint32_t extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
#if defined(__SSE4_2__) || defined(__ARM_FEATURE_CRC32)
    crc = ~crc;
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) crc = step8(crc, load_le64(at));
    for (; left > 0; --left, ++at) crc = step1(crc, std::to_integer<std::uint8_t>(*at));
    return ~crc;
#else
    return extend_portable(crc, bytes);
#endif
}

}  // namespace sluice::crc32c
