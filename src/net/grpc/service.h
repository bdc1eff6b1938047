// Which methods a gRPC server has: filled at start-up, constant afterwards.
//
//   ServiceRegistry services;
//   services.unary("/etcdserverpb.KV/Put", [&](CallRef call, std::string_view request) { ... });
//   services.stream("/etcdserverpb.Watch/Watch", MethodKind::kBidiStream,
//                   [&](CallRef call) { return std::make_unique<WatchStream>(std::move(call)); });
//
// A unary handler runs in the connection's turn and must not suspend. It answers at once
// (call->finish), or keeps the CallRef and answers later from anywhere, or goes on on a fiber of
// its own (call->run). `request` is valid during the handler only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "net/grpc/call_ref.h"

namespace sluice::grpc {

enum class MethodKind : std::uint8_t { kUnary, kClientStream, kServerStream, kBidiStream };

// "unary", "bidi_stream", ...: the metric label grpc_type.
std::string_view method_kind_name(MethodKind kind) noexcept;

// One streaming call, on the server's side. Its calls come in the connection's turn: one at a time,
// and they must not suspend. It is destroyed after on_cancel(), or after it has finished its call.
// A server stream gets exactly one message; a client that sends none or more gets INTERNAL.
class ServerStream {
  public:
    virtual ~ServerStream() = default;
    // One message of the client. The view is valid during the call.
    virtual void on_message(std::string_view message) = 0;
    // The client will send no more.
    virtual void on_half_close() = 0;
    // The call is over (reset, disconnected, deadline); nothing more is sent. Drop everything.
    virtual void on_cancel() = 0;
    // After Call::send returned false: there is room again. Or after Call::wake(). Never from
    // inside send(): what the stream is just sending goes out before what it is asked for next.
    virtual void on_writable() {}
};

using UnaryHandler = std::function<void(CallRef call, std::string_view request)>;
using StreamHandler = std::function<std::unique_ptr<ServerStream>(CallRef call)>;

struct Method {
    static constexpr std::size_t kCodes = 17;

    std::string service;  // "etcdserverpb.KV"
    std::string name;     // "Put"
    MethodKind kind = MethodKind::kUnary;
    UnaryHandler unary;
    StreamHandler stream;

    // Statistics; relaxed, they order nothing.
    std::atomic<std::uint64_t> started{0};
    std::atomic<std::uint64_t> messages_received{0};
    std::atomic<std::uint64_t> messages_sent{0};
    std::array<std::atomic<std::uint64_t>, kCodes> handled{};
};

class ServiceRegistry {
  public:
    // `path` is "/package.Service/Method", once each (asserted).
    void unary(std::string_view path, UnaryHandler handler);
    void stream(std::string_view path, MethodKind kind, StreamHandler handler);

    Method* find(std::string_view path) const noexcept;
    // The error for a path that find() does not know: UNIMPLEMENTED, with the text Go's server has.
    Error unknown(std::string_view path) const;

    const std::vector<std::unique_ptr<Method>>& methods() const noexcept { return methods_; }

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    Method& add(std::string_view path, MethodKind kind);

    std::vector<std::unique_ptr<Method>> methods_;
    std::unordered_map<std::string, Method*, Hash, std::equal_to<>> by_path_;
};

}  // namespace sluice::grpc
