#include "io/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>
#include <cstring>

#include "base/check.h"

namespace sluice::io {
namespace {

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail(Code::kInvalidArgument, fmt::format("address \"{}\": {}", text, why));
}

}  // namespace

Result<Address> Address::parse(std::string_view host_and_port) {
    const std::size_t colon = host_and_port.rfind(':');
    if (colon == std::string_view::npos) return bad(host_and_port, "no port; write host:port");
    std::string_view host = host_and_port.substr(0, colon);
    const std::string_view digits = host_and_port.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), port);
    if (digits.empty() || error != std::errc() || end != digits.end()) {
        return bad(host_and_port, "the port is not a number from 0 to 65535");
    }
    Address address;
    if (host.empty() || host == "*") {
        address.storage_.v6.sin6_family = AF_INET6;
        address.storage_.v6.sin6_addr = in6addr_any;
        address.set_port(port);
        return address;
    }
    if (host == "localhost") return loopback(port);
    const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
    if (bracketed) host = host.substr(1, host.size() - 2);
    const std::string terminated(host);
    if (bracketed) {
        address.storage_.v6.sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, terminated.c_str(), &address.storage_.v6.sin6_addr) != 1) {
            return bad(host_and_port, "not an IPv6 address");
        }
    } else {
        if (host.find(':') != std::string_view::npos)
            return bad(host_and_port, "write [host]:port");
        address.storage_.v4.sin_family = AF_INET;
        if (inet_pton(AF_INET, terminated.c_str(), &address.storage_.v4.sin_addr) != 1) {
            return bad(host_and_port, "not an IP address; names are not resolved here");
        }
    }
    address.set_port(port);
    return address;
}

Address Address::loopback(std::uint16_t port) noexcept {
    Address address;
    address.storage_.v4.sin_family = AF_INET;
    address.storage_.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.set_port(port);
    return address;
}

Address Address::from_sockaddr(const sockaddr_storage& address) noexcept {
    Address made;
    if (address.ss_family == AF_INET) {
        std::memcpy(&made.storage_.v4, &address, sizeof made.storage_.v4);
    } else if (address.ss_family == AF_INET6) {
        std::memcpy(&made.storage_.v6, &address, sizeof made.storage_.v6);
    }
    return made;
}

std::string Address::to_string() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
        inet_ntop(AF_INET, &storage_.v4.sin_addr, text, sizeof text);
        return fmt::format("{}:{}", text, port());
    }
    if (family() == AF_INET6) {
        inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text);
        return fmt::format("[{}]:{}", text, port());
    }
    return "unknown";
}

std::uint16_t Address::port() const noexcept {
    return ntohs(family() == AF_INET ? storage_.v4.sin_port : storage_.v6.sin6_port);
}

void Address::set_port(std::uint16_t port) noexcept {
    (family() == AF_INET ? storage_.v4.sin_port : storage_.v6.sin6_port) = htons(port);
}

socklen_t Address::size() const noexcept {
    return family() == AF_INET ? sizeof storage_.v4 : sizeof storage_.v6;
}

bool Address::operator==(const Address& other) const noexcept {
    if (family() != other.family() || port() != other.port()) return false;
    if (family() == AF_INET) {
        return storage_.v4.sin_addr.s_addr == other.storage_.v4.sin_addr.s_addr;
    }
    return std::memcmp(&storage_.v6.sin6_addr, &other.storage_.v6.sin6_addr,
                       sizeof storage_.v6.sin6_addr) == 0;
}

}  // namespace sluice::io
