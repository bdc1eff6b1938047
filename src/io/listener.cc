#include "io/listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "io/fd_waiter.h"
#include "io/socket.h"
#include "sync/event.h"

namespace sluice::io {
namespace {

int open_spare() {
    return sys::open("/dev/null", O_RDONLY, 0);
}

bool out_of_resources(int error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

}  // namespace

Listener::Listener(Descriptor socket, OnAccept on_accept)
    : socket_(std::move(socket)), on_accept_(std::move(on_accept)), spare_(open_spare()) {}

Listener::~Listener() {
    (void)sys::shutdown(socket_.get(), SHUT_RDWR);
}

Status Listener::run(const sync::Context& context) {
    FdWaiter waiter(socket_.get());
    SLUICE_TRY(waiter.start());
    TimeNs pause_ns = limits::kAcceptPauseMinNs;
    while (!context.ended()) {
        if (accept_waiting(context) || turn_away(context)) {
            pause_ns = limits::kAcceptPauseMinNs;
            (void)waiter.wait(kReadable, context);
            continue;
        }
        // Nothing sets this event: it is a sleep that the context can end.
        sync::Event never;
        sync::Context pause(&context, sync::deadline_after(pause_ns));
        (void)never.wait(pause);
        pause_ns = std::min(2 * pause_ns, limits::kAcceptPauseMaxNs);
    }
    return {};
}

// Accepts until nobody waits (true), or until there are no resources (false).
bool Listener::accept_waiting(const sync::Context& context) {
    while (!context.ended()) {
        Address peer;
        const int fd = accept_tcp(socket_.get(), &peer);
        if (fd == -EAGAIN) return true;
        if (out_of_resources(fd)) return false;
        if (fd < 0) {
            // The connection died while it waited (ECONNABORTED and the network's errors).
            errors_.fetch_add(1, std::memory_order_relaxed);
            rt::checkpoint();
            continue;
        }
        accepted_.fetch_add(1, std::memory_order_relaxed);
        on_accept_(Descriptor(fd), peer);
        rt::checkpoint();
    }
    return true;
}

// The spare descriptor makes room for one accept at a time, whose connection is closed at once.
// True if nobody waits any more (the kernel says EMFILE also when nobody does).
bool Listener::turn_away(const sync::Context& context) {
    if (!spare_.valid()) spare_.reset(open_spare());
    if (!spare_.valid()) return false;
    spare_.reset();
    int fd = 0;
    while (fd >= 0 && !context.ended()) {
        fd = accept_tcp(socket_.get());
        if (fd < 0) break;
        sys::close(fd);
        turned_away_.fetch_add(1, std::memory_order_relaxed);
        rt::checkpoint();
    }
    spare_.reset(open_spare());
    return fd == -EAGAIN;
}

Result<Address> Listener::address() const {
    return local_address(socket_.get());
}

Listener::Stats Listener::stats() const noexcept {
    return {.accepted = accepted_.load(std::memory_order_relaxed),
            .turned_away = turned_away_.load(std::memory_order_relaxed),
            .errors = errors_.load(std::memory_order_relaxed)};
}

}  // namespace sluice::io
