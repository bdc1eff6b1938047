#include "net/grpc/status.h"

namespace sluice::grpc {

std::string encode_grpc_message(std::string_view message) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(message.size());
    for (const char c : message) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(kHex[byte >> 4]);
            out.push_back(kHex[byte & 15]);
        }
    }
    return out;
}

Code code_from_http2_error(std::uint32_t http2_error) noexcept {
    constexpr std::uint32_t kRefusedStream = 7, kCancel = 8, kEnhanceYourCalm = 11,
                            kInadequateSecurity = 12;
    switch (http2_error) {
        case kRefusedStream:
            return Code::kUnavailable;
        case kCancel:
            return Code::kCancelled;
        case kEnhanceYourCalm:
            return Code::kResourceExhausted;
        case kInadequateSecurity:
            return Code::kPermissionDenied;
        default:
            return Code::kInternal;
    }
}

}  // namespace sluice::grpc
