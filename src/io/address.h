// A TCP address: IPv4 or IPv6 with a port. A value of 32 bytes.
//
// parse() takes what users write in flags: "127.0.0.1:2379", "[::1]:2379", "localhost:2379" (the
// IPv4 loopback), ":2379" and "*:2379" (every interface, both families). Port 0 lets the kernel
// choose. Other names need DNS, which is a layer above. to_string() prints what parse() reads.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::io {

class Address {
  public:
    Address() noexcept { storage_.v6 = {}; }

    // kInvalidArgument with a message that quotes the text.
    static Result<Address> parse(std::string_view host_and_port);
    // 127.0.0.1 with the port, for tests and defaults.
    static Address loopback(std::uint16_t port) noexcept;
    static Address from_sockaddr(const sockaddr_storage& address) noexcept;

    std::string to_string() const;
    std::uint16_t port() const noexcept;
    void set_port(std::uint16_t port) noexcept;
    int family() const noexcept { return storage_.any.sa_family; }

    const sockaddr* data() const noexcept { return &storage_.any; }
    socklen_t size() const noexcept;

    bool operator==(const Address& other) const noexcept;

  private:
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    } storage_;
};

}  // namespace sluice::io
