// A gRPC message on its way out: its bytes, framed, and optionally a shared tail.
//
//   Message m = Message::of(put_response);            // any protobuf message
//   Message m;  m.body().append(...)                  // or bytes made by hand
//   Message m = Message::with_tail(head, event);      // many streams share the event's bytes
//
// The five bytes of the prefix are reserved in front, so framing costs no copy. Movable, not
// copied.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/shared_bytes.h"
#include "net/grpc/framing.h"

namespace sluice::grpc {

class Message {
  public:
    Message() : bytes_(kMessagePrefixBytes, '\0') {}
    Message(Message&&) noexcept = default;
    Message& operator=(Message&&) noexcept = default;
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    // Serialises a protobuf message (anything with its two size and write functions).
    template <class Proto>
    static Message of(const Proto& proto) {
        Message message;
        const std::size_t size = proto.ByteSizeLong();
        message.bytes_.resize(kMessagePrefixBytes + size);
        proto.SerializeWithCachedSizesToArray(
            reinterpret_cast<std::uint8_t*>(message.bytes_.data() + kMessagePrefixBytes));
        return message;
    }
    static Message with_tail(std::string_view head, SharedBytes tail) {
        Message message;
        message.bytes_.append(head);
        message.tail_ = std::move(tail);
        return message;
    }

    // Where to append the message's bytes. What stands there already (the prefix) must stay.
    std::string& body() noexcept { return bytes_; }

    // Without the prefix.
    std::size_t size() const noexcept { return bytes_.size() - kMessagePrefixBytes + tail_.size(); }

    // The prefix and the body; writes the prefix. And the tail.
    std::string_view framed() noexcept {
        store_message_prefix(bytes_.data(), static_cast<std::uint32_t>(size()));
        return bytes_;
    }
    const SharedBytes& tail() const noexcept { return tail_; }

  private:
    std::string bytes_;
    SharedBytes tail_;
};

}  // namespace sluice::grpc
