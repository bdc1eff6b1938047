// CRC-32C (Castagnoli), the checksum of everything Sluice writes to disk.
//
// extend(crc, bytes) continues a checksum, so that extend(extend(0, a), b) == extend(0, ab).
// Any thread, any fiber; neither blocks nor suspends. Cost: 0.12 ns a byte with the processor's
// instruction (SSE 4.2, ARMv8 CRC; base_bench: BM_Crc32c), 0.5 ns a byte with the table.
// Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected, inverted at both ends).
//
//   const std::uint32_t crc = crc32c::extend(crc32c::extend(0, header), payload);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::crc32c {

std::uint32_t extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

inline std::uint32_t extend(std::uint32_t crc, std::string_view bytes) noexcept {
    return extend(crc, std::as_bytes(std::span(bytes)));
}

// The same by table; what machines without the instruction use, and the test's cross-check.
std::uint32_t extend_portable(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

}  // namespace sluice::crc32c
