#include "bench/loop.h"

#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "base/syscall.h"
#include "base/time_slice.h"

namespace sluice::bench {

Loop::Loop(const http2::SessionConfig& config, const Clock& clock, const TickClock& ticks,
           RunState& state)
    : config_(config),
      clock_(clock),
      ticks_(ticks),
      state_(state),
      memory_(limits::kBenchReceiveBytes),
      epoll_fd_(sys::epoll_create()),
      wake_fd_(sys::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    SLUICE_CHECK(epoll_fd_ >= 0 && wake_fd_ >= 0);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    SLUICE_CHECK(sys::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0);
}

Loop::~Loop() {
    connections_.clear();
    sys::close(wake_fd_);
    sys::close(epoll_fd_);
}

Result<Connection*> Loop::add_connection(const std::string& endpoint) {
    auto& connection = *connections_.emplace_back(std::make_unique<Connection>(config_, memory_));
    connection.on_broken = [this](const std::string& why) { state_.fail(why); };
    SLUICE_TRY(connection.open(endpoint, clock_.now_ns()));
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &connection}};
    const int added = sys::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, connection.fd(), &event);
    if (added < 0) return fail(Error::from_errno(added, "epoll_ctl"));
    return &connection;
}

bool Loop::finished() const noexcept {
    return state_.phase() == Phase::kStop && active_ == 0;
}

void Loop::arrived() {
    SLUICE_CHECK(arrived_ < expected_);
    if (++arrived_ == expected_) state_.loop_ready();
}

void Loop::client_stopped() noexcept {
    SLUICE_CHECK(active_ > 0);
    --active_;
    if (active_ > 0 || reported_finished_) return;
    reported_finished_ = true;
    state_.loop_finished();
}

void Loop::record(Ticks started) noexcept {
    ++stats_.calls;
    stats_.latency.record(static_cast<std::uint64_t>(ticks_.to_ns(now_ - started)));
}

void Loop::record_error(const std::string& what) {
    if (stats_.errors++ == 0) stats_.first_error = what;
}

void Loop::run() {
    // The loader's own waits for a CPU would count as the server's time.
    wish_short_slices();
    std::array<epoll_event, 256> events;
    TimeNs give_up_ns = kNever;
    while (!finished()) {
        const bool stopping = state_.phase() == Phase::kStop;
        if (stopping && give_up_ns == kNever) give_up_ns = clock_.now_ns() + limits::kBenchDrainNs;
        if (clock_.now_ns() >= give_up_ns || state_.failed()) break;
        const int count = sys::epoll_wait(epoll_fd_, events.data(), events.size(),
                                          stopping ? limits::kBenchDrainNs : -1);
        if (count < 0 && count != -EINTR) break;
        const TimeNs now_ns = clock_.now_ns();
        for (int i = 0; i < count; ++i) {
            now_ = ticks_.now();
            auto* connection =
                static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            if (connection != nullptr) {
                connection->on_ready(now_ns);
                continue;
            }
            std::uint64_t wakes = 0;
            sys::read(wake_fd_, &wakes, sizeof wakes);
            if (on_wake_) on_wake_();
        }
        // A flush may add to the list: it fires events too.
        for (std::size_t i = 0; i < memory_.unflushed.size(); ++i)
            memory_.unflushed[i]->flush(now_ns);
        memory_.unflushed.clear();
    }
    for (auto& connection : connections_) connection->close();
}

void Loop::wake() noexcept {
    const std::uint64_t one = 1;
    sys::write(wake_fd_, &one, sizeof one);
}

}  // namespace sluice::bench
