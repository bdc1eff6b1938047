#include "cli/signals.h"

#include <sys/signalfd.h>

#include <csignal>

#include "base/check.h"
#include "io/readiness.h"
#include "sync/event.h"

namespace sluice::cli {
namespace {

struct SignalWatch final : io::Watch {
    explicit SignalWatch(int fd) : Watch(fd, &SignalWatch::on_ready) {}
    static void on_ready(io::Watch& watch, std::uint32_t events) {
        if (events & io::kReadable) static_cast<SignalWatch&>(watch).readable.signal();
    }
    sync::Notify readable;
};

}  // namespace

SignalWaiter::SignalWaiter() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigset_t blocked = set;
    sigaddset(&blocked, SIGQUIT);
    SLUICE_CHECK(pthread_sigmask(SIG_BLOCK, &blocked, nullptr) == 0);
    std::signal(SIGPIPE, SIG_IGN);
    descriptor_ = io::Descriptor(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    SLUICE_CHECK(descriptor_.valid());
}

int SignalWaiter::wait() {
    SignalWatch watch(descriptor_.get());
    io::Poller& poller = io::current_poller();
    const Status added = poller.add(watch, io::kReadable);
    SLUICE_CHECK(added.has_value());
    signalfd_siginfo info{};
    while (sys::read(descriptor_.get(), &info, sizeof info) != sizeof info) {
        (void)watch.readable.wait();
    }
    poller.remove(watch);
    return static_cast<int>(info.ssi_signo);
}

}  // namespace sluice::cli
