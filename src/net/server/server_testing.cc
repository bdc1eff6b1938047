#include "net/server/server_testing.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <future>

#include "base/syscall.h"
#include "io/poller_factory.h"

namespace sluice::net {
namespace {

constexpr int kPatienceMs = 20'000;

rt::Options runtime_options(const ServerBoxOptions& options, const Clock& clock) {
    auto pollers = io::make_poller_factory(options.poller);
    EXPECT_TRUE(pollers.has_value());
    return {.workers = options.workers, .make_poller = *pollers, .clock = &clock};
}

}  // namespace

ServerBox::ServerBox(const ServerBoxOptions& options, ProtocolFactory& protocols)
    : ticks_(clock_),
      runtime_(runtime_options(options, clock_)),
      server_(std::make_unique<Server>(options.server, protocols, clock_, ticks_)) {
    std::promise<std::uint16_t> port;
    thread_ = std::thread([this, &port] {
        runtime_.run([this, &port] {
            hold_ = std::make_unique<rt::ForeignThread>(runtime_);
            const auto address = server_->listen(io::Address::loopback(0));
            port.set_value(address ? address->port() : std::uint16_t{0});
            (void)leave_.wait();
        });
    });
    port_ = port.get_future().get();
    EXPECT_NE(port_, 0);
}

ServerBox::~ServerBox() {
    if (thread_.joinable()) stop(0);
}

void ServerBox::run(std::function<void()> fn) {
    std::promise<void> done;
    rt::spawn_on(runtime_, 0, [&] {
        fn();
        done.set_value();
    });
    done.get_future().get();
}

void ServerBox::skip(TimeNs duration_ns) {
    clock_.skip(duration_ns);
    // Workers that sleep have been told how long: they look at the clock again after a fiber.
    for (unsigned worker = 0; worker < runtime_.workers(); ++worker) {
        std::promise<void> looked;
        rt::spawn_on(runtime_, worker, [&] { looked.set_value(); });
        looked.get_future().get();
    }
}

void ServerBox::begin_stop(TimeNs drain_ns) {
    stopping_ = true;
    rt::spawn_on(runtime_, 0, [this, drain_ns] {
        server_->stop(clock_.now_ns() + drain_ns);
        server_->join();
        stopped_.set_value();
    });
}

void ServerBox::stop(TimeNs drain_ns) {
    if (!stopping_) begin_stop(drain_ns);
    stopped_.get_future().get();
    leave_.set();
    hold_.reset();
    thread_.join();
    server_.reset();
}

bool ServerBox::eventually(const std::function<bool()>& condition) const {
    for (int i = 0; i < kPatienceMs; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

TestSocket::TestSocket(std::uint16_t port, int receive_buffer_bytes) {
    fd_ = sys::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer_bytes > 0) {
        sys::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                        sizeof receive_buffer_bytes);
    }
    const io::Address address = io::Address::loopback(port);
    EXPECT_EQ(sys::connect(fd_, address.data(), address.size()), 0);
}

void TestSocket::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = sys::send(fd_, bytes.data(), bytes.size(), 0);
        if (sent <= 0) return;  // the server has closed; what it has said can still be read
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::size_t TestSocket::send_some(std::string_view bytes) {
    const ssize_t sent = sys::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

std::string TestSocket::receive() {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kPatienceMs) == 0) {
        ADD_FAILURE() << "the server says nothing";
        return {};
    }
    return receive_now();
}

std::string TestSocket::receive_now() {
    std::array<char, 64 * 1024> buffer;
    const ssize_t got = sys::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == -ECONNRESET || got == -EPIPE) was_reset_ = true;
    return got <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(got));
}

std::string TestSocket::receive_until(std::string_view text) {
    std::string all;
    while (all.find(text) == std::string::npos) {
        const std::string more = receive();
        if (more.empty()) break;
        all += more;
    }
    return all;
}

std::string TestSocket::receive_all() {
    std::string all;
    for (std::string more = receive(); !more.empty(); more = receive()) all += more;
    return all;
}

void TestSocket::shut_down_sending() {
    sys::shutdown(fd_, SHUT_WR);
}

void TestSocket::close() {
    if (fd_ >= 0) sys::close(std::exchange(fd_, -1));
}

void TestSocket::reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    sys::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

}  // namespace sluice::net
