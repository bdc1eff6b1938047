// Any bytes as the payload of a gRPC stream, cut at arbitrary points: the messages and the error
// that a decoder of the whole gives, which is written down here once more. The same bytes go to the
// parser of grpc-timeout and through the encoding of grpc-message and back.
//   grpc_framing_fuzz test/corpus/grpc_framing_fuzz
//
// Input: byte 0 is the limit of a message, byte 1 seeds the cuts, the rest is the payload.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "net/grpc/framing.h"
#include "net/grpc/status.h"
#include "net/grpc/timeout.h"

namespace {

using namespace sluice;
using namespace sluice::grpc;

struct Outcome {
    std::vector<std::string> messages;
    std::optional<Code> error;
    bool mid_message = false;

    bool operator==(const Outcome&) const = default;
};

// The protocol's "Length-Prefixed-Message", on bytes that have all come.
Outcome reference(std::string_view bytes, std::uint32_t limit) {
    Outcome out;
    while (bytes.size() >= 5) {
        std::uint64_t length = 0;
        for (std::size_t i = 1; i < 5; ++i)
            length = length << 8 | static_cast<unsigned char>(bytes[i]);
        if (bytes[0] == 1)
            out.error = Code::kUnimplemented;
        else if (bytes[0] != 0)
            out.error = Code::kInternal;
        else if (length > limit)
            out.error = Code::kResourceExhausted;
        if (out.error) return out;
        if (bytes.size() - 5 < length) break;
        out.messages.emplace_back(bytes.substr(5, length));
        bytes.remove_prefix(5 + length);
    }
    out.mid_message = !bytes.empty();
    return out;
}

Outcome read_in_pieces(std::string_view bytes, std::uint32_t limit, std::uint32_t seed) {
    Outcome out;
    MessageReader reader(limit);
    while (!bytes.empty()) {
        seed = seed * 1'103'515'245 + 12'345;
        const std::size_t size = seed == 0 ? bytes.size() : 1 + (seed >> 16) % 24;
        const Status status = reader.feed(bytes.substr(0, size), [&](std::string_view message) {
            SLUICE_CHECK(message.size() <= limit);
            out.messages.emplace_back(message);
        });
        if (!status) {
            out.error = status.error().code();
            return out;
        }
        bytes.remove_prefix(std::min(size, bytes.size()));
    }
    out.mid_message = reader.mid_message();
    return out;
}

Outcome read_whole(std::string_view bytes, std::uint32_t limit) {
    Outcome out;
    MessageReader reader(limit);
    const Status status =
        reader.feed(bytes, [&](std::string_view message) { out.messages.emplace_back(message); });
    if (!status)
        out.error = status.error().code();
    else
        out.mid_message = reader.mid_message();
    return out;
}

// "TimeoutValue TimeoutUnit" with wide arithmetic.
std::optional<TimeNs> reference_timeout(std::string_view text) {
    static constexpr std::string_view kUnits = "numSMH";
    static constexpr TimeNs kNs[] = {1,       kMicrosecond, kMillisecond,
                                     kSecond, 60 * kSecond, 3600 * kSecond};
    if (text.size() < 2 || text.size() > 9) return std::nullopt;
    const std::size_t unit = kUnits.find(text.back());
    const std::string_view digits = text.substr(0, text.size() - 1);
    if (unit == std::string_view::npos) return std::nullopt;
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    __int128 total = std::stol(std::string(digits));
    total *= kNs[unit];
    return total > kNever ? kNever : static_cast<TimeNs>(total);
}

std::string decode_percent(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        SLUICE_CHECK(text[i] >= 0x20 && text[i] <= 0x7e);
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        SLUICE_CHECK(text.size() - i > 2);
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::uint32_t limit = data[0];
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    const Outcome expected = reference(bytes, limit);
    SLUICE_CHECK(read_whole(bytes, limit) == expected);
    SLUICE_CHECK(read_in_pieces(bytes, limit, data[1]) == expected);
    SLUICE_CHECK(parse_grpc_timeout(bytes) == reference_timeout(bytes));
    SLUICE_CHECK(decode_percent(encode_grpc_message(bytes)) == bytes);
    return 0;
}
