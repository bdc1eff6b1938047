// gRPC's message framing: each message is one compression flag byte, a 32-bit big-endian length,
// and the message. Source: gRPC over HTTP/2 protocol, "Length-Prefixed-Message".
//
// MessageReader cuts messages out of the DATA payloads of one stream. A message that lies whole in
// one payload is handed on as a view of it, without a copy; only a message that spans payloads is
// gathered in a buffer, which is bounded by the message limit and freed when the message is
// complete. It neither blocks nor suspends; one reader belongs to one stream.
//
//   MessageReader reader(message_bytes_max);
//   SLUICE_TRY(reader.feed(payload, [&](std::string_view message) { ... }));
//   if (reader.mid_message()) ...   // the stream ended inside a message
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/byte_order.h"
#include "base/result.h"

namespace sluice::grpc {

inline constexpr std::size_t kMessagePrefixBytes = 5;

// Writes the five bytes before a message of `length` bytes.
inline void store_message_prefix(char* out, std::uint32_t length) noexcept {
    out[0] = 0;
    store_be32(out + 1, length);
}

class MessageReader {
  public:
    explicit MessageReader(std::uint32_t message_bytes_max)
        : message_bytes_max_(message_bytes_max) {}

    // Calls on_message(view) for every message that ends in `payload`; a view is valid during the
    // call. kResourceExhausted: a longer message than allowed. kUnimplemented: a compressed
    // message. After an error the reader must not be fed again.
    template <class OnMessage>
    Status feed(std::string_view payload, OnMessage&& on_message) {
        while (!payload.empty()) {
            if (partial_.empty() && payload.size() >= kMessagePrefixBytes) {
                SLUICE_TRY_ASSIGN(const std::uint32_t length, check_prefix(payload.data()));
                if (payload.size() - kMessagePrefixBytes >= length) {
                    on_message(payload.substr(kMessagePrefixBytes, length));
                    payload.remove_prefix(kMessagePrefixBytes + length);
                    continue;
                }
            }
            SLUICE_TRY_ASSIGN(const bool complete, gather(payload));
            if (complete) {
                const std::string message = std::move(partial_);
                partial_.clear();
                on_message(std::string_view(message).substr(kMessagePrefixBytes));
            }
        }
        return {};
    }

    bool mid_message() const noexcept { return !partial_.empty(); }

  private:
    // The length in a prefix, or the error that the prefix deserves.
    Result<std::uint32_t> check_prefix(const char* prefix) const;
    // Moves bytes from `payload` into partial_; true when partial_ holds one whole message.
    Result<bool> gather(std::string_view& payload);

    std::string partial_;  // prefix and what has come of the message
    std::uint32_t message_bytes_max_;
};

}  // namespace sluice::grpc
