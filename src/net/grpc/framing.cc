#include "net/grpc/framing.h"

#include <fmt/core.h>

#include <algorithm>

namespace sluice::grpc {

Result<std::uint32_t> MessageReader::check_prefix(const char* prefix) const {
    if (prefix[0] != 0) {
        if (prefix[0] != 1) {
            return fail(Code::kInternal,
                        fmt::format("grpc: received unexpected payload format {}",
                                    static_cast<unsigned>(static_cast<unsigned char>(prefix[0]))));
        }
        return fail(Code::kUnimplemented, "grpc: compressed messages are not supported");
    }
    const std::uint32_t length = load_be32(prefix + 1);
    if (length > message_bytes_max_) {
        return fail(Code::kResourceExhausted,
                    fmt::format("grpc: received message larger than max ({} vs. {})", length,
                                message_bytes_max_));
    }
    return length;
}

Result<bool> MessageReader::gather(std::string_view& payload) {
    const auto take = [&](std::size_t want) {
        const std::size_t n = std::min(want - partial_.size(), payload.size());
        partial_.append(payload.substr(0, n));
        payload.remove_prefix(n);
    };
    if (partial_.size() < kMessagePrefixBytes) {
        take(kMessagePrefixBytes);
        if (partial_.size() < kMessagePrefixBytes) return false;
    }
    SLUICE_TRY_ASSIGN(const std::uint32_t length, check_prefix(partial_.data()));
    take(kMessagePrefixBytes + length);
    return partial_.size() == kMessagePrefixBytes + length;
}

}  // namespace sluice::grpc
