// TCP echo: a fiber a connection, and a callback a connection.
#include <array>
#include <thread>

#include "base/check.h"
#include "io/echo_testing.h"
#include "io/listener.h"
#include "io/socket.h"
#include "io/tcp_stream.h"
#include "lines.h"
#include "rt/blocking.h"
#include "sync/group.h"

namespace vs {
namespace {

namespace io = sluice::io;
namespace rt = sluice::rt;
namespace sync = sluice::sync;

void announce(const io::Address& address) {
    std::printf("%u\n", static_cast<unsigned>(address.port()));
    std::fflush(stdout);
}

void wait_for_end_of_input() {
    rt::blocking([] {
        while (std::getchar() != EOF) {
        }
    });
}

void serve(io::Descriptor socket) {
    auto stream = io::TcpStream::adopt(std::move(socket));
    if (!stream) return;
    std::array<std::byte, 4'096> buffer;
    for (;;) {
        const auto n = (*stream)->read_some(buffer);
        if (!n || *n == 0) return;
        if (!(*stream)->write_all(std::span(buffer).first(*n))) return;
    }
}

}  // namespace

void run_echo(const Options&) {
    auto socket = io::listen_tcp(io::Address::loopback(0));
    SLUICE_CHECK(socket.has_value());
    sync::Group group(nullptr);
    io::Listener listener(std::move(*socket), [&](io::Descriptor connection, const io::Address&) {
        group.spawn(
            [connection = std::move(connection)]() mutable { serve(std::move(connection)); });
    });
    announce(*listener.address());
    group.spawn([&] { return listener.run(group.context()); });
    wait_for_end_of_input();
    std::_Exit(0);  // as the others do, with all connections open
}

void run_echo_callback(const Options&) {
    io::EchoServer server;
    SLUICE_CHECK(server.start().has_value());
    announce(server.address());
    wait_for_end_of_input();
    SLUICE_CHECK(server.stop().has_value());
}

}  // namespace vs
