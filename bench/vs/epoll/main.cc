// TCP echo in a plain epoll loop: the floor under every runtime. One epoll a worker; the first
// worker accepts and deals the connections out in turn.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include "measure.h"

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void watch(int epoll, int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

int listen_somewhere() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    check(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    check(listen(listener, 4096) == 0);
    check(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    std::printf("%u\n", static_cast<unsigned>(ntohs(address.sin_port)));
    std::fflush(stdout);
    return listener;
}

void accept_all(int listener, const std::vector<int>& epolls, std::size_t& turn) {
    for (;;) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(epolls[turn++ % epolls.size()], fd);
    }
}

void serve(int epoll, int listener, const std::vector<int>& epolls) {
    std::array<epoll_event, 256> events;
    std::array<char, 4'096> buffer;
    std::size_t turn = 0;
    for (;;) {
        const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
        check(ready >= 0 || errno == EINTR);
        for (int i = 0; i < ready; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == listener) {
                accept_all(listener, epolls, turn);
                continue;
            }
            const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
            if (n <= 0 || send(fd, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) {
                close(fd);
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const vs::Options options = vs::parse(argc, argv);
    if (options.line != "echo-callback") return vs::kUnknownLine;
    const int listener = listen_somewhere();
    std::vector<int> epolls;
    for (unsigned i = 0; i < options.workers; ++i) epolls.push_back(epoll_create1(EPOLL_CLOEXEC));
    watch(epolls[0], listener);
    for (const int epoll : epolls) std::thread(serve, epoll, listener, epolls).detach();
    while (std::getchar() != EOF) {
    }
    std::_Exit(0);
}
