// A small HTTP/2 server around net/http2's session, for h2spec and for trying things by hand: plain
// sockets, one thread, epoll. It answers every request with its own body, or with 200 bytes if
// there was none. The product's server is `sluice serve`; this one needs no runtime.
//
//   h2spec_server [port]        prints "listening on PORT" (0, the default: any free port)
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "net/http2/session.h"

namespace {

using namespace sluice;
using namespace sluice::http2;

class Connection final : public SessionHandler {
  public:
    Connection(int fd, const SessionConfig& config, TimeNs now)
        : fd_(fd), session_(Role::kServer, config, *this, out_) {
        session_.start(now);  // a client may wait for our SETTINGS before it sends anything
    }
    ~Connection() override {
        session_.terminate(ErrorCode::kNoError);
        ::close(fd_);
    }

    // False: the connection is over.
    bool serve(TimeNs now, Scratch& scratch) {
        char buffer[64 * 1024];
        bool open = true;
        while (open && session_.wants_input()) {
            const ssize_t size = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (size == 0) return false;
            if (size < 0) break;
            open = session_.feed({buffer, static_cast<std::size_t>(size)}, now, scratch) ==
                   FeedResult::kContinue;
        }
        return flush(now) && open;
    }

  private:
    bool flush(TimeNs now) {
        for (;;) {
            session_.produce(now);
            iovec parts[16];
            msghdr message{};
            message.msg_iov = parts;
            message.msg_iovlen = out_.gather(parts);
            if (message.msg_iovlen == 0) return true;
            const ssize_t sent = ::sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN;
            out_.consume(static_cast<std::size_t>(sent));
        }
    }

    void on_headers(StreamId id, void*, HeaderBlock&, bool end_stream) override {
        if (end_stream) answer(id);
    }
    void on_data(StreamId id, void*, std::string_view bytes, bool end_stream) override {
        if (bodies_[id].size() < kBodyMax) bodies_[id].append(bytes);
        session_.consume(id, bytes.size());
        if (end_stream) answer(id);
    }
    void on_writable(StreamId, void*) override {}
    void on_closed(StreamId id, void*, ErrorCode) override {
        bodies_.erase(id);
        session_.release(id);
    }

    void answer(StreamId id) {
        std::string body = std::move(bodies_[id]);
        bodies_.erase(id);
        if (body.empty()) body.assign(200, 'x');
        const HeaderField headers[] = {HeaderField::text(":status", "200"),
                                       HeaderField::text("content-type", "text/plain")};
        session_.send_headers(id, headers, false);
        const DataPiece piece[] = {DataPiece::copy(body)};
        session_.send_data(id, piece, true);
        session_.release(id);
    }

    static constexpr std::size_t kBodyMax = 1 << 20;
    int fd_;
    OutputBuffer out_;
    Session session_;
    std::map<StreamId, std::string> bodies_;
};

int listen_on(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SLUICE_CHECK(fd >= 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 128) != 0) {
        std::perror("listen");
        std::exit(1);
    }
    socklen_t length = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    std::printf("listening on %u\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return fd;
}

void watch(int epoll, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    SLUICE_CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

}  // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    const int listener = listen_on(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
    const int epoll = ::epoll_create1(0);
    watch(epoll, listener, EPOLLIN);
    const SystemClock clock;
    SessionConfig config;
    config.streams_max = 100;  // h2spec opens one more than that
    Scratch scratch;
    std::map<int, std::unique_ptr<Connection>> connections;
    for (;;) {
        epoll_event events[64];
        const int count = ::epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                if (accepted < 0) continue;
                const int on = 1;
                ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                connections[accepted] =
                    std::make_unique<Connection>(accepted, config, clock.now_ns());
                watch(epoll, accepted, EPOLLIN | EPOLLOUT | EPOLLET);
            } else if (!connections.at(fd)->serve(clock.now_ns(), scratch)) {
                connections.erase(fd);
            }
        }
    }
}
