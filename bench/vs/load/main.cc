// The load of the echo lines, the same for every server: `load PORT CONNECTIONS SECONDS PID`. One
// thread, plain epoll; 64 bytes a message, one message under way on each connection.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "base/histogram.h"
#include "measure.h"

namespace {

constexpr double kWarmupShare = 0.25;  // of the measured time, before it

void check(bool holds, const char* what) {
    if (holds) return;
    std::perror(what);
    std::exit(1);
}

class Load {
  public:
    Load(std::uint16_t port, std::size_t connections) : sent_at_ns_(connections) {
        for (std::size_t i = 0; i < connections; ++i) open(port, i);
    }

    void start() {
        for (std::size_t i = 0; i < sockets_.size(); ++i) say(i);
    }

    // Answers until the time is over. Returns how many messages came back.
    std::int64_t run(std::int64_t until_ns, sluice::HdrHistogram* latency) {
        std::int64_t count = 0;
        for (;;) {
            const int ready = epoll_wait(epoll_, events_.data(), 256, -1);
            const std::int64_t now_ns = vs::read_clock_ns(CLOCK_MONOTONIC);
            if (now_ns >= until_ns) return count;  // level-triggered: the next run sees these
            for (int i = 0; i < ready; ++i) {
                const std::size_t index = events_[static_cast<std::size_t>(i)].data.u64;
                const ssize_t n = recv(sockets_[index], message_.data(), message_.size(), 0);
                check(n == static_cast<ssize_t>(message_.size()), "recv");
                const std::int64_t read_ns = vs::read_clock_ns(CLOCK_MONOTONIC);
                if (latency != nullptr) {
                    latency->record(static_cast<std::uint64_t>(read_ns - sent_at_ns_[index]));
                }
                say(index);
                ++count;
            }
        }
    }

  private:
    void open(std::uint16_t port, std::size_t index) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(fd >= 0, "socket");
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        check(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "connect");
        const int on = 1;
        check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "setsockopt");
        epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
        check(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
        sockets_.push_back(fd);
    }

    void say(std::size_t index) {
        sent_at_ns_[index] = vs::read_clock_ns(CLOCK_MONOTONIC);
        const ssize_t n = send(sockets_[index], message_.data(), message_.size(), MSG_NOSIGNAL);
        check(n == static_cast<ssize_t>(message_.size()), "send");
    }

    const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    std::vector<int> sockets_;
    std::vector<std::int64_t> sent_at_ns_;
    std::array<char, vs::kMessageBytes> message_{};
    std::array<epoll_event, 256> events_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s PORT CONNECTIONS SECONDS PID\n", argv[0]);
        return 2;
    }
    const auto measured_ns = static_cast<std::int64_t>(std::atof(argv[3]) * 1e9);
    clockid_t server{};
    check(clock_getcpuclockid(std::atoi(argv[4]), &server) == 0, "the server's clock");
    Load load(static_cast<std::uint16_t>(std::atoi(argv[1])),
              static_cast<std::size_t>(std::atoi(argv[2])));
    load.start();
    const auto warmup_ns =
        static_cast<std::int64_t>(kWarmupShare * static_cast<double>(measured_ns));
    load.run(vs::read_clock_ns(CLOCK_MONOTONIC) + warmup_ns, nullptr);
    sluice::HdrHistogram latency;
    const std::int64_t start_ns = vs::read_clock_ns(CLOCK_MONOTONIC);
    const std::int64_t server_ns = vs::read_clock_ns(server);
    const std::int64_t own_ns = vs::read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    const std::int64_t ops = load.run(start_ns + measured_ns, &latency);
    std::printf(R"({"ops": %lld, "wall_ns": %lld, "cpu_ns": %lld, "load_cpu_ns": %lld, )"
                R"("p50_ns": %llu, "p99_ns": %llu})"
                "\n",
                static_cast<long long>(ops),
                static_cast<long long>(vs::read_clock_ns(CLOCK_MONOTONIC) - start_ns),
                static_cast<long long>(vs::read_clock_ns(server) - server_ns),
                static_cast<long long>(vs::read_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns),
                static_cast<unsigned long long>(latency.percentile(50)),
                static_cast<unsigned long long>(latency.percentile(99)));
}
