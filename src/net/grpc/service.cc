#include "net/grpc/service.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace sluice::grpc {

std::string_view method_kind_name(MethodKind kind) noexcept {
    switch (kind) {
        case MethodKind::kUnary:
            return "unary";
        case MethodKind::kClientStream:
            return "client_stream";
        case MethodKind::kServerStream:
            return "server_stream";
        case MethodKind::kBidiStream:
            return "bidi_stream";
    }
    return "unary";
}

Method& ServiceRegistry::add(std::string_view path, MethodKind kind) {
    const std::size_t slash = path.rfind('/');
    SLUICE_CHECK(path.starts_with('/') && slash != 0);
    auto method = std::make_unique<Method>();
    method->service = path.substr(1, slash - 1);
    method->name = path.substr(slash + 1);
    method->kind = kind;
    SLUICE_CHECK(by_path_.emplace(path, method.get()).second);
    methods_.push_back(std::move(method));
    return *methods_.back();
}

void ServiceRegistry::unary(std::string_view path, UnaryHandler handler) {
    add(path, MethodKind::kUnary).unary = std::move(handler);
}

void ServiceRegistry::stream(std::string_view path, MethodKind kind, StreamHandler handler) {
    SLUICE_CHECK(kind != MethodKind::kUnary);
    add(path, kind).stream = std::move(handler);
}

Method* ServiceRegistry::find(std::string_view path) const noexcept {
    const auto it = by_path_.find(path);
    return it == by_path_.end() ? nullptr : it->second;
}

Error ServiceRegistry::unknown(std::string_view path) const {
    const std::size_t slash = path.rfind('/');
    if (!path.starts_with('/') || slash == 0) {
        return Error(Code::kUnimplemented, fmt::format("malformed method name: \"{}\"", path));
    }
    const std::string_view service = path.substr(1, slash - 1);
    const bool known = std::ranges::any_of(
        methods_, [&](const auto& method) { return method->service == service; });
    if (!known) {
        return Error(Code::kUnimplemented, fmt::format("unknown service {}", service));
    }
    return Error(Code::kUnimplemented,
                 fmt::format("unknown method {} for service {}", path.substr(slash + 1), service));
}

}  // namespace sluice::grpc
