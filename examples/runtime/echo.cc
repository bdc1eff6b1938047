// A TCP server that sends back what it gets, a fiber for each connection, and a client.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "io/listener.h"
#include "io/poller_factory.h"
#include "io/socket.h"
#include "io/tcp_stream.h"
#include "rt/runtime.h"
#include "sync/group.h"

using namespace sluice;

namespace {

Status echo(io::Descriptor connection, const sync::Context& context) {
    SLUICE_TRY_ASSIGN(auto stream, io::TcpStream::adopt(std::move(connection)));
    std::array<std::byte, 4'096> buffer;
    for (;;) {
        SLUICE_TRY_ASSIGN(const std::size_t n, stream->read_some(buffer, context));
        if (n == 0) return {};  // the peer has sent all
        SLUICE_TRY(stream->write_all(std::span(buffer).first(n), context));
    }
}

Status ask(const io::Address& address) {
    SLUICE_TRY_ASSIGN(auto stream, io::TcpStream::connect(address));
    std::string text = "is anybody there?";
    const auto bytes = std::as_writable_bytes(std::span(text));
    SLUICE_TRY(stream->write_all(bytes));
    std::ranges::fill(text, ' ');
    SLUICE_TRY(stream->read_all(bytes));
    std::printf("the server says: %s\n", text.c_str());
    return {};
}

Status serve_and_ask() {
    SLUICE_TRY_ASSIGN(auto socket, io::listen_tcp(io::Address::loopback(0)));
    sync::Group server(nullptr);
    io::Listener listener(std::move(socket), [&](io::Descriptor connection, const io::Address&) {
        // Its error is its own: handed to the group it would end the others.
        server.spawn([&server, connection = std::move(connection)]() mutable {
            (void)echo(std::move(connection), server.context());
        });
    });
    SLUICE_TRY_ASSIGN(const io::Address address, listener.address());
    server.spawn([&] { return listener.run(server.context()); });
    const Status asked = ask(address);
    server.cancel();
    (void)server.wait();
    return asked;
}

}  // namespace

int main() {
    auto pollers = io::make_poller_factory("auto");  // io_uring, else epoll
    if (!pollers) return 1;
    rt::Runtime runtime({.workers = 2, .make_poller = *pollers});
    Status status;
    runtime.run([&status] { status = serve_and_ask(); });
    if (!status) std::fprintf(stderr, "%s\n", status.error().message().c_str());
    return status ? 0 : 1;
}
