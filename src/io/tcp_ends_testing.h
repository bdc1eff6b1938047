// Two ends of a TCP connection over loopback, and what tests send through them. On fibers.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/tcp_stream.h"

namespace sluice::io {

struct TcpEnds {
    TcpEnds();
    std::unique_ptr<TcpStream> client;
    std::unique_ptr<TcpStream> server;
};

std::span<const std::byte> bytes_of(std::string_view text);

// Text in which every place can be told from its neighbours.
std::string text_of(std::size_t bytes);

// All that comes until the end of the stream.
std::string read_to_end(TcpStream& stream);

}  // namespace sluice::io
