#include "io/tcp_ends_testing.h"

#include <gtest/gtest.h>

#include <array>

#include "io/accept_testing.h"
#include "io/socket.h"

namespace sluice::io {

TcpEnds::TcpEnds() {
    const Descriptor listening = std::move(*listen_tcp(Address::loopback(0)));
    client = std::move(*TcpStream::connect(*local_address(listening.get())));
    server = std::move(*TcpStream::adopt(accept_next(listening.get())));
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) {
        text[i] = static_cast<char>('a' + i * 7 % 23 + i / 977 % 3);
    }
    return text;
}

std::string read_to_end(TcpStream& stream) {
    std::string all;
    std::array<std::byte, 65536> buffer;
    for (;;) {
        const auto n = stream.read_some(buffer);
        EXPECT_TRUE(n.has_value()) << n.error().message();
        if (!n || *n == 0) return all;
        all.append(reinterpret_cast<const char*>(buffer.data()), *n);
    }
}

}  // namespace sluice::io
