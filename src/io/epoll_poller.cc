#include "io/epoll_poller.h"

#include <cerrno>

#include "base/check.h"

namespace sluice::io {
namespace {

std::uint32_t to_epoll(std::uint32_t interest) {
    std::uint32_t events = EPOLLET | EPOLLRDHUP;
    if ((interest & kReadable) != 0) events |= EPOLLIN;
    if ((interest & kWritable) != 0) events |= EPOLLOUT;
    return events;
}

std::uint32_t from_epoll(std::uint32_t events) {
    std::uint32_t ready = 0;
    if ((events & EPOLLIN) != 0) ready |= kReadable;
    if ((events & EPOLLOUT) != 0) ready |= kWritable;
    if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) ready |= kHangup;
    return ready;
}

}  // namespace

EpollPoller::EpollPoller() : epoll_(sys::epoll_create()) {
    SLUICE_CHECK(epoll_.valid());
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kWakeToken}};
    SLUICE_CHECK(sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.fd(), &event) == 0);
}

EpollPoller::~EpollPoller() = default;

unsigned EpollPoller::poll(TimeNs timeout_ns) {
    const WatchTable::Turn turn(watches_);
    if (!bound_) {
        watches_.bind_worker();
        bound_ = true;
    }
    return take_turn(timeout_ns == kNever ? -1 : timeout_ns);
}

// An epoll instance is readable when it has events.
rt::Poller::Waiting EpollPoller::waiting() noexcept {
    if (idle()) return Waiting::kNothing;
    pollfd look{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
    return sys::poll(&look, 1, 0) > 0 ? Waiting::kForAny : Waiting::kNothing;
}

unsigned EpollPoller::poll_for_other() {
    const WatchTable::Turn turn(watches_, std::try_to_lock);
    return turn ? take_turn(0) : 0;
}

unsigned EpollPoller::take_turn(std::int64_t wait_ns) {
    const int count =
        sys::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), wait_ns);
    SLUICE_CHECK(count >= 0 || count == -EINTR);
    unsigned dispatched = 0;
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.u64 == kWakeToken) {
            wake_.consume();
        } else if (watches_.dispatch(event.data.u64, from_epoll(event.events))) {
            ++dispatched;
        }
    }
    return dispatched;
}

Status EpollPoller::add(Watch& watch, std::uint32_t interest) {
    SLUICE_TRY_ASSIGN(const WatchTable::Token token, watches_.insert(watch, *this, interest));
    epoll_event event{.events = to_epoll(interest), .data = {.u64 = token}};
    const int result = sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, watch.fd(), &event);
    if (result == 0) return {};
    watches_.erase(watch);
    return fail(Error::from_errno(result, "watch a descriptor"));
}

void EpollPoller::remove(Watch& watch) {
    SLUICE_CHECK(watch.poller() == this);
    const int result = sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watch.fd(), nullptr);
    SLUICE_CHECK(result == 0);  // else the descriptor was closed before remove()
    watches_.erase(watch);
}

}  // namespace sluice::io
